//! Certificates, keys, authorities and cipher lists: what is taken, what is not, and what is said of it.

use std::sync::LazyLock;

use super::*;

const PASSPHRASE: &str = "tide-und-wire";

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("keys/", $name, ".pem"))
    };
}

const P256: &str = key!("p256-pkcs8");

/// Keys that are served, the certificate of each made with the first of its group.
const SERVED: [(&str, &str, &str); 9] = [
    ("PKCS#8", P256, P256),
    ("SEC1 behind its parameters", P256, key!("p256-sec1")),
    ("AES-256, PBKDF2 of SHA-256", P256, key!("p256-aes256-sha256")),
    ("AES-128, PBKDF2 of SHA-512", P256, key!("p256-aes128-sha512")),
    ("3DES, PBKDF2 of SHA-1", P256, key!("p256-3des-sha1")),
    ("scrypt", P256, key!("p256-scrypt")),
    ("P-384", key!("p384-pkcs8"), key!("p384-sec1")),
    ("Ed25519", key!("ed25519"), key!("ed25519")),
    ("RSA of PKCS#8", key!("rsa-pkcs8"), key!("rsa-pkcs8")),
];

fn of_key(pem: &str) -> Issued {
    Issued::with("example.org", KeyPair::from_pem(pem).expect("a key of the test"))
}

static ISSUED: LazyLock<Issued> = LazyLock::new(|| of_key(P256));

/// What is wrong with good credentials that were changed.
fn misuse<'a>(change: impl FnOnce(&mut Credentials<'a>)) -> TlsMisuse {
    let mut credentials: Credentials<'a> = Credentials { passphrase: Some(PASSPHRASE), ..ISSUED.credentials() };
    change(&mut credentials);
    Identity::new(&credentials).err().expect("a misuse")
}

#[test]
fn each_form_of_a_key_is_served_in_both_versions() {
    let pkcs1 = ("RSA of PKCS#1", key!("rsa-pkcs8"), key!("rsa-pkcs1"));
    for (form, own, given) in SERVED.into_iter().chain([pkcs1]) {
        let issued = of_key(own);
        let credentials = Credentials { key: given.as_bytes(), passphrase: Some(PASSPHRASE), ..issued.credentials() };
        let identity = Identity::new(&credentials).unwrap_or_else(|misuse| panic!("{form}: {misuse}"));
        for version in VERSIONS {
            let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &identity);
            pair.shake().unwrap_or_else(|fault| panic!("{form}, {version:?}: {fault}"));
            assert!(!pair.session.is_shaking_hands() && !pair.client.is_handshaking(), "{form}, {version:?}");
        }
    }
}

#[test]
fn keys_that_are_not_served_say_what_to_do() {
    let cases = [
        ("", TlsMisuse::NoKey, "-----BEGIN PRIVATE KEY-----"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", TlsMisuse::NoKey, "give PEM"),
        ("-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----", TlsMisuse::KeyKind, "RSA"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nYQ==\n-----END OPENSSH PRIVATE KEY-----", TlsMisuse::KeyKind, "RSA"),
        (key!("rsa-1024"), TlsMisuse::KeyKind, "2048"),
        (key!("p521-sec1"), TlsMisuse::KeyKind, "P-256"),
        (key!("p256-old"), TlsMisuse::OldKeyEncryption, "openssl pkcs8 -topk8"),
        (key!("rsa-old"), TlsMisuse::OldKeyEncryption, "openssl pkcs8 -topk8"),
        (key!("p256-pbes1"), TlsMisuse::KeyEncryption, "-v2 aes-256-cbc"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nYQ==\n-----END ENCRYPTED PRIVATE KEY-----",
            TlsMisuse::KeyEncryption,
            "-v2 aes-256-cbc",
        ),
        (key!("ed25519"), TlsMisuse::Mismatch, "not that of the certificate"),
        (key!("rsa-pkcs1"), TlsMisuse::Mismatch, "not that of the certificate"),
    ];
    for (key, expected, says) in cases {
        let misuse = misuse(|credentials| credentials.key = key.as_bytes());
        assert_eq!(misuse, expected, "{key}");
        assert!(misuse.to_string().contains(says), "{misuse}");
    }
}

#[test]
fn a_passphrase_is_asked_for_and_tried() {
    fn wrong(passphrase: Option<&str>) -> TlsMisuse {
        misuse(|credentials| {
            credentials.key = key!("p256-aes256-sha256").as_bytes();
            credentials.passphrase = passphrase;
        })
    }
    assert_eq!(wrong(None), TlsMisuse::NoPassphrase);
    for passphrase in ["", "tide", "tide-und-wire ", &"x".repeat(5000)] {
        assert_eq!(wrong(Some(passphrase)), TlsMisuse::WrongPassphrase, "{passphrase}");
    }
    let issued = of_key(P256);
    let unneeded = Credentials { passphrase: Some("unneeded"), ..issued.credentials() };
    assert!(Identity::new(&unneeded).is_ok());
}

#[test]
fn certificates_are_read_and_counted() {
    assert_eq!(misuse(|credentials| credentials.cert = b""), TlsMisuse::NoCertificate);
    assert_eq!(misuse(|credentials| credentials.cert = P256.as_bytes()), TlsMisuse::NoCertificate);
    let version_1 = key!("p256-version-1").as_bytes();
    assert_eq!(misuse(|credentials| credentials.cert = version_1), TlsMisuse::CertificateVersion);
    let broken = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";
    assert_eq!(misuse(|credentials| credentials.cert = broken.as_bytes()), TlsMisuse::Certificate(1));
    let second = [of_key(P256).cert, broken.replace("YQ==", "!")].concat();
    assert_eq!(misuse(|credentials| credentials.cert = second.as_bytes()), TlsMisuse::Certificate(2));
    let other = Issued::new("example.org");
    assert_eq!(misuse(|credentials| credentials.cert = other.cert.as_bytes()), TlsMisuse::Mismatch);
}

#[test]
fn a_chain_reaches_the_client_whole() {
    let authority = Authority::new("authority");
    let mut issued = authority.issue("example.org");
    issued.cert = ["some text\n", &issued.cert, &authority.cert()].concat().replace('\n', "\r\n");
    let identity = issued.identity();
    let root = Issued { cert: authority.cert(), key: String::new() };
    let mut pair = Pair::new(&Arc::new(trusting(&[&root], &VERSIONS)), "example.org", &identity);
    pair.shake().expect("a handshake");
    assert_eq!(pair.client.peer_certificates().map(<[_]>::len), Some(2));
    assert_eq!(pair.client.alpn_protocol(), None);
}

#[test]
fn key_and_certificate_may_be_one_text() {
    let issued = of_key(P256);
    let both = [P256, &issued.cert].concat();
    assert!(
        Identity::new(&Credentials { cert: both.as_bytes(), key: both.as_bytes(), ..issued.credentials() }).is_ok()
    );
}

#[test]
fn authorities_are_read_and_counted() {
    assert_eq!(misuse(|credentials| credentials.ca = Some(b"")), TlsMisuse::NoAuthority);
    assert_eq!(misuse(|credentials| credentials.ca = Some(P256.as_bytes())), TlsMisuse::NoAuthority);
    let broken = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";
    let second = [&Authority::new("one").cert(), broken].concat();
    assert_eq!(misuse(|credentials| credentials.ca = Some(second.as_bytes())), TlsMisuse::Authority(2));
}

#[test]
fn every_misuse_has_a_code_and_a_sentence() {
    let cases = [
        (TlsMisuse::NoCertificate, "TIDEWIRE_TLS_CERTIFICATE"),
        (TlsMisuse::Certificate(3), "TIDEWIRE_TLS_CERTIFICATE"),
        (TlsMisuse::CertificateVersion, "TIDEWIRE_TLS_CERTIFICATE"),
        (TlsMisuse::NoKey, "TIDEWIRE_TLS_KEY"),
        (TlsMisuse::KeyKind, "TIDEWIRE_TLS_KEY"),
        (TlsMisuse::OldKeyEncryption, "TIDEWIRE_TLS_KEY"),
        (TlsMisuse::KeyEncryption, "TIDEWIRE_TLS_KEY"),
        (TlsMisuse::NoPassphrase, "TIDEWIRE_TLS_PASSPHRASE"),
        (TlsMisuse::WrongPassphrase, "TIDEWIRE_TLS_PASSPHRASE"),
        (TlsMisuse::Mismatch, "TIDEWIRE_TLS_MISMATCH"),
        (TlsMisuse::NoAuthority, "TIDEWIRE_TLS_CA"),
        (TlsMisuse::Authority(2), "TIDEWIRE_TLS_CA"),
        (TlsMisuse::UnknownCipher("X".to_owned()), "TIDEWIRE_TLS_CIPHERS"),
        (TlsMisuse::UnservedCipher("X".to_owned()), "TIDEWIRE_TLS_CIPHERS"),
        (TlsMisuse::NoCipher, "TIDEWIRE_TLS_CIPHERS"),
        (TlsMisuse::NoRandomness, "TIDEWIRE_TLS_RANDOMNESS"),
    ];
    for (at, (misuse, code)) in cases.iter().enumerate() {
        assert_eq!(misuse.code(), *code);
        let text = misuse.to_string();
        assert!(text.len() > 20 && !text.ends_with('.') && !text.contains("  "), "{text}");
        assert!(cases[..at].iter().all(|(other, _)| other.to_string() != text), "{text}");
    }
}

/// Whatever is wrong with a key or its passphrase, no six characters of them are told.
#[test]
fn nothing_of_a_key_or_a_passphrase_is_told() {
    let keys = SERVED.map(|(_, _, key)| key).into_iter().chain([
        key!("rsa-pkcs1"),
        key!("p256-old"),
        key!("p256-pbes1"),
        key!("p521-sec1"),
        key!("rsa-1024"),
    ]);
    for key in keys {
        let damaged = [key.to_owned(), key.replacen("-----\nM", "-----\n!", 1), key.replace("-----END", "-----ENT")];
        for (key, passphrase) in damaged.iter().flat_map(|key| [(key, Some("geheim und lang")), (key, None)]) {
            let issued = Issued::new("example.org");
            let credentials = Credentials { key: key.as_bytes(), passphrase, ..issued.credentials() };
            let misuse = Identity::new(&credentials).err().expect("another's certificate");
            assert!(std::error::Error::source(&misuse).is_none());
            let told = format!("{misuse} {misuse:?} {}", misuse.code());
            assert!(!told.contains("geheim"), "{told}");
            let lines = key.lines().filter(|line| !line.contains("-----") && !line.contains(':'));
            for line in lines.filter(|line| line.len() >= 6) {
                for part in line.as_bytes().windows(6) {
                    let part = std::str::from_utf8(part).expect("Base64");
                    assert!(!told.contains(part), "{part} of the key in {told}");
                }
            }
        }
    }
}
