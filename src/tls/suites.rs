//! A list of cipher suites by names, as `ssl_ciphers` has them.
//!
//! It reads as OpenSSL's cipher list does (`man openssl-ciphers`), over the suites that are served: those of
//! TLS 1.2 with ECDHE and AEAD, and those of TLS 1.3. What is known and not served is passed over, as OpenSSL
//! does with what it was built without; what nobody knows is an error.

use std::fmt;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite;

use super::misuse::TlsMisuse;

/// A suite of TLS 1.2.
struct Suite {
    suite: SupportedCipherSuite,
    /// OpenSSL's name, of the parts of which its words are made.
    name: &'static str,
}

const TLS12: [Suite; 6] = [
    Suite { suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, name: "ECDHE-ECDSA-AES256-GCM-SHA384" },
    Suite { suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, name: "ECDHE-ECDSA-AES128-GCM-SHA256" },
    Suite { suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, name: "ECDHE-ECDSA-CHACHA20-POLY1305" },
    Suite { suite: cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, name: "ECDHE-RSA-AES256-GCM-SHA384" },
    Suite { suite: cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, name: "ECDHE-RSA-AES128-GCM-SHA256" },
    Suite { suite: cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, name: "ECDHE-RSA-CHACHA20-POLY1305" },
];

const TLS13: [(SupportedCipherSuite, &str); 3] = [
    (cipher_suite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (cipher_suite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
    (cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
];

/// OpenSSL's words for suites of which there are some, and what a suite's name has in it then.
const WORDS: [(&str, &str); 18] = [
    ("ALL", ""),
    ("DEFAULT", ""),
    ("HIGH", ""),
    ("TLSv1.2", ""),
    ("ECDHE", ""),
    ("EECDH", ""),
    ("ECDH", ""),
    ("kECDHE", ""),
    ("kEECDH", ""),
    ("aECDSA", "-ECDSA-"),
    ("ECDSA", "-ECDSA-"),
    ("aRSA", "-RSA-"),
    ("AES", "-AES"),
    ("AESGCM", "-GCM-"),
    ("AES128", "-AES128-"),
    ("AES256", "-AES256-"),
    ("CHACHA20", "-CHACHA20-"),
    ("FIPS", "-GCM-"),
];

/// Its words for suites of which there are none, and parts of the names of suites that are not served.
const UNSERVED: &str = "3DES ADH AECDH AESCCM AESCCM8 ARIA ARIA128 ARIA256 ARIAGCM CAMELLIA CAMELLIA128 CAMELLIA256 \
    CBC CBC3 CCM CCM8 COMPLEMENTOFALL COMPLEMENTOFDEFAULT DES DH DHE DSS ECDHEPSK EDE EDH EXP EXPORT EXPORT40 \
    EXPORT56 GCM GOST GOST01 GOST89 GOST94 IDEA KRB5 LOW MD5 MEDIUM NULL POLY1305 PSK RC2 RC4 RSA RSAPSK SEED SHA SHA1 \
    SHA256 SHA384 SRP SSLv2 SSLv3 SUITEB128 SUITEB128C2 SUITEB192 TLS TLSv1 TLSv1.0 WITH 128 256 40 56 8 anon aDH aDSS \
    aGOST aGOST01 aNULL aPSK aSRP eNULL kDH kDHE kDHEPSK kDHd kDHr kECDH kECDHEPSK kECDHe kECDHr kEDH kGOST kPSK kRSA \
    kRSAPSK kSRP";

/// The suites of a list; `None` is all that are served.
///
/// Entries stand between colons, commas or spaces: a suite by OpenSSL's or the IANA's name, or a word of OpenSSL's
/// for several of TLS 1.2, also joined with `+`. `!` and `-` take out. Of what it asks for, something must be served.
/// A leading `+`, `@STRENGTH` and `@SECLEVEL` up to 2 say nothing here: the client's order is followed, and what is
/// served is of level 2. A list without a suite of TLS 1.3 leaves all of these, as OpenSSL does, less those
/// that it takes out; one without a suite of TLS 1.2 leaves none of those: TLS 1.2 is not served then.
pub(super) fn suites(list: Option<&str>) -> Result<Vec<SupportedCipherSuite>, TlsMisuse> {
    let all_of_tls13 = TLS13.map(|(suite, _)| suite);
    let Some(list) = list else {
        return Ok(all_of_tls13.into_iter().chain(TLS12.map(|entry| entry.suite)).collect());
    };
    let mut added = Vec::new();
    let mut banned = Vec::new();
    let (mut is_served, mut first_unserved) = (false, None);
    for entry in list.split([':', ',', ';', ' ']).filter(|entry| !entry.is_empty()) {
        let (sign, name) = entry.split_at(usize::from(entry.starts_with(['!', '-', '+', '@'])));
        match (sign, name) {
            ("!", _) => banned.extend(found(name)?.unwrap_or_default()),
            ("-", _) => {
                let taken = found(name)?.unwrap_or_default();
                added.retain(|suite| !taken.contains(suite));
            }
            ("+", _) => drop(found(name)?),
            ("@", "STRENGTH" | "SECLEVEL=0" | "SECLEVEL=1" | "SECLEVEL=2") => {}
            ("@", _) => return Err(TlsMisuse::UnknownCipher(entry.to_owned())),
            _ => match found(name)? {
                Some(suites) => {
                    is_served = true;
                    added.extend(suites);
                }
                None => drop(first_unserved.get_or_insert(name)),
            },
        }
    }
    if !added.iter().any(|suite| all_of_tls13.contains(suite)) {
        added.extend(all_of_tls13);
    }
    let kept = |suite: &SupportedCipherSuite| added.contains(suite) && !banned.contains(suite);
    let suites: Vec<_> = all_of_tls13.into_iter().chain(TLS12.map(|entry| entry.suite)).filter(kept).collect();
    match first_unserved {
        Some(name) if !is_served => Err(TlsMisuse::UnservedCipher(name.to_owned())),
        _ if !is_served || suites.is_empty() => Err(TlsMisuse::NoCipher),
        _ => Ok(suites),
    }
}

/// The suites of a name or a word. `None`: it is known, and there are none.
fn found(name: &str) -> Result<Option<Vec<SupportedCipherSuite>>, TlsMisuse> {
    let iana = |entry: &&Suite| entry.name == name || entry.suite.suite().as_str() == Some(name);
    if let Some(entry) = TLS12.iter().find(iana) {
        return Ok(Some(vec![entry.suite]));
    }
    if let Some((suite, _)) = TLS13.iter().find(|(_, known)| *known == name) {
        return Ok(Some(vec![*suite]));
    }
    let mut left: Vec<&Suite> = TLS12.iter().collect();
    for word in name.split('+') {
        match WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, part)) => left.retain(|entry| entry.name.contains(part)),
            None if word.split(['-', '_']).all(is_known) => left.clear(),
            None => return Err(TlsMisuse::UnknownCipher(name.to_owned())),
        }
    }
    Ok((!left.is_empty()).then(|| left.iter().map(|entry| entry.suite).collect()))
}

fn is_known(part: &str) -> bool {
    UNSERVED.split(' ').any(|known| known == part) || WORDS.iter().any(|(known, _)| *known == part)
}

/// The names of all that are served, for a sentence.
pub(super) struct Served;

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = TLS13.iter().map(|(_, name)| *name).chain(TLS12.iter().map(|entry| entry.name));
        f.write_str(&names.collect::<Vec<_>>().join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        let suites = suites(Some(list)).unwrap_or_else(|misuse| panic!("{list}: {misuse}"));
        let openssl = |suite: &SupportedCipherSuite| {
            let of_tls12 = TLS12.iter().find(|entry| entry.suite == *suite).map(|entry| entry.name);
            of_tls12.or_else(|| TLS13.iter().find(|entry| entry.0 == *suite).map(|entry| entry.1))
        };
        suites.iter().filter_map(openssl).map(str::to_owned).collect()
    }

    /// Those of TLS 1.2.
    fn old(list: &str) -> Vec<String> {
        names(list).into_iter().filter(|name| !name.starts_with("TLS_")).collect()
    }

    #[test]
    fn without_a_list_all_are_served() {
        let all = suites(None).expect("all");
        assert_eq!(all.len(), 9);
        assert!(rustls::crypto::ring::ALL_CIPHER_SUITES.iter().all(|suite| all.contains(suite)));
    }

    #[test]
    fn a_suite_has_two_names() {
        for entry in &TLS12 {
            let iana = entry.suite.suite().as_str().expect("a name");
            assert_eq!(old(entry.name), [entry.name]);
            assert_eq!(old(iana), [entry.name]);
        }
        for (suite, name) in TLS13 {
            assert_eq!(suites(Some(name)), Ok(vec![suite]));
        }
    }

    #[test]
    fn a_list_of_one_version_says_what_becomes_of_the_other() {
        assert_eq!(names("ECDHE-RSA-AES128-GCM-SHA256").len(), 4);
        assert_eq!(names("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384").len(), 2);
        assert_eq!(
            names("TLS_AES_128_GCM_SHA256 ECDHE-RSA-AES128-GCM-SHA256"),
            ["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(names("HIGH:!TLS_AES_128_GCM_SHA256").len(), 8);
    }

    #[test]
    fn words_are_read_as_openssl_does() {
        let cases = [
            ("HIGH:!aNULL:!MD5", 6),
            ("DEFAULT:!DES:!RC4:!3DES:!kRSA:!DSS:!SRP:!PSK:!SHA1:!CAMELLIA", 6),
            ("ALL:-AES128:AES128", 6),
            ("ALL:!AES128:AES128", 4),
            ("AESGCM", 4),
            ("AESGCM:!aRSA", 2),
            ("CHACHA20", 2),
            ("EECDH+AESGCM:EECDH+CHACHA20", 6),
            ("ECDHE+aECDSA+AES256", 1),
            ("ECDHE:!AES256:@STRENGTH", 4),
            ("ECDHE,+AES128;@SECLEVEL=2", 6),
            ("HIGH:MEDIUM", 6),
            ("EECDH+AESGCM:EDH+AESGCM", 4),
            ("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA", 1),
            ("ALL:!ECDHE-RSA-AES128-GCM-SHA256:!ECDHE-RSA-AES128-SHA:!TLS_RSA_WITH_3DES_EDE_CBC_SHA", 5),
        ];
        for (list, count) in cases {
            assert_eq!(old(list).len(), count, "{list}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_and_one_that_is_not_served_if_none_is() {
        let unserved = |name: &str| TlsMisuse::UnservedCipher(name.to_owned());
        let unknown = |name: &str| TlsMisuse::UnknownCipher(name.to_owned());
        let cases = [
            ("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:X", unknown("X")),
            ("ECDHE-RSA-AES128-SHA", unserved("ECDHE-RSA-AES128-SHA")),
            ("AES128-SHA", unserved("AES128-SHA")),
            ("TLS_RSA_WITH_AES_128_CBC_SHA256", unserved("TLS_RSA_WITH_AES_128_CBC_SHA256")),
            ("TLS_AES_128_CCM_SHA256", unserved("TLS_AES_128_CCM_SHA256")),
            ("MEDIUM:AES128-SHA", unserved("MEDIUM")),
            ("ECDHE+SHA", unserved("ECDHE+SHA")),
            ("ECHDE-RSA-AES128-GCM-SHA256", unknown("ECHDE-RSA-AES128-GCM-SHA256")),
            ("HIGH:!ECDHE-RSA-AES128-GCM-SHA265", unknown("ECDHE-RSA-AES128-GCM-SHA265")),
            ("high", unknown("high")),
            ("HIGH:-aNUL", unknown("aNUL")),
            ("HIGH:@SECLEVEL=5", unknown("@SECLEVEL=5")),
            ("HIGH:!", unknown("")),
            ("ä", unknown("ä")),
        ];
        for (list, misuse) in cases {
            assert_eq!(suites(Some(list)), Err(misuse), "{list}");
        }
        assert!(unserved("X").to_string().contains("'X' is not served"));
        assert!(unknown("X").to_string().contains("TLS_AES_256_GCM_SHA384:"));
    }

    #[test]
    fn a_list_that_leaves_none_is_a_misuse() {
        for list in [
            "",
            ":",
            "!AES",
            "ECDHE:!ECDHE:!TLS_AES_128_GCM_SHA256:!TLS_AES_256_GCM_SHA384:!TLS_CHACHA20_POLY1305_SHA256",
        ] {
            assert_eq!(suites(Some(list)), Err(TlsMisuse::NoCipher), "{list}");
        }
    }
}
