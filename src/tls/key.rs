//! A private key in PEM, in all the forms that OpenSSL writes and has written.

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::misuse::TlsMisuse;
use super::pem::{self, Section};

/// The first key of a text: PKCS#8 (RFC 5958), encrypted or not, PKCS#1 (RFC 8017 §A.1.2) or SEC1 (RFC 5915).
pub(super) fn private_key(text: &[u8], passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsMisuse> {
    let sections = pem::sections(text);
    let section = sections.iter().find(|section| section.label.ends_with(b"PRIVATE KEY")).ok_or(TlsMisuse::NoKey)?;
    if section.is_encrypted() {
        return Err(TlsMisuse::OldKeyEncryption);
    }
    match section.label {
        b"PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der(section)?).into()),
        b"RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der(section)?).into()),
        b"EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der(section)?).into()),
        b"ENCRYPTED PRIVATE KEY" => decrypt(&der(section)?, passphrase.ok_or(TlsMisuse::NoPassphrase)?),
        _ => Err(TlsMisuse::KeyKind),
    }
}

fn der(section: &Section<'_>) -> Result<Vec<u8>, TlsMisuse> {
    section.der().ok_or(TlsMisuse::NoKey)
}

/// Opens a key that is encrypted by a scheme of PBES2 (RFC 8018 §6.2), scrypt (RFC 7914 §7) included.
fn decrypt(der: &[u8], passphrase: &str) -> Result<PrivateKeyDer<'static>, TlsMisuse> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| TlsMisuse::KeyEncryption)?;
    let key = encrypted.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs8::pkcs5::Error::NoPbes1CryptSupport | pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. },
        ) => TlsMisuse::KeyEncryption,
        // Padding that is wrong, or a key that is none behind padding that is right by chance.
        _ => TlsMisuse::WrongPassphrase,
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
