//! Mode `certificate`: signs a certificate for `localhost` with a key that is there, for the servers of a run with
//! `--tls`. It is good for no other: it says nothing of who may sign what.

use std::fmt::Display;
use std::fs;

use rcgen::{CertificateParams, KeyPair};

use crate::args::Args;
use crate::failure::Failure;
use crate::report::{Outcome, Report};

/// Options: `--key`, a PEM file with a private key in PKCS#8, ECDSA on P-256 or RSA; `--out`, the file that is to
/// have the certificate, in PEM.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let mut file = |name: &str| -> Result<String, Failure> {
        args.optional(name)?.ok_or_else(|| Failure::new(format!("--{name} is missing: the path of a file")))
    };
    let (key, out) = (file("key")?, file("out")?);
    args.finish()?;

    let text = fs::read_to_string(&key).map_err(|error| Failure::io(format_args!("{key} cannot be read"), &error))?;
    fs::write(&out, self_signed(&text)?)
        .map_err(|error| Failure::io(format_args!("{out} cannot be written"), &error))?;
    let mut report = Report::new();
    report.text("mode", "certificate").text("out", out);
    Ok(Outcome { report, verdict: Ok(()) })
}

/// A certificate in PEM for the private key in PEM.
pub fn self_signed(key: &str) -> Result<String, Failure> {
    let refused = |error: &dyn Display| Failure::new(format!("the key cannot sign a certificate: {error}"));
    let key = KeyPair::from_pem(key).map_err(|error| refused(&error))?;
    let params = CertificateParams::new(["localhost".to_owned()]).map_err(|error| refused(&error))?;
    Ok(params.self_signed(&key).map_err(|error| refused(&error))?.pem())
}
