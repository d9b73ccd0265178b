//! Errors on their way to JavaScript: Node-API takes a code as a string beside the sentence.

use napi::Error;

use crate::error::{HostFault, shortage};
use crate::gate::InvalidPattern;
use crate::tls::TlsMisuse;

/// The stable code of an error that the engine throws.
pub struct Code(String);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<napi::Status> for Code {
    fn from(status: napi::Status) -> Self {
        Self(status.as_ref().to_owned())
    }
}

/// What functions of this room return.
pub type Result<T> = std::result::Result<T, Error<Code>>;

/// An error with a code of its own.
pub fn fault(code: &str, sentence: impl ToString) -> Error<Code> {
    Error::new(Code(code.to_owned()), sentence.to_string())
}

/// The machine does not let us listen.
pub fn host(fault_of_host: &HostFault) -> Error<Code> {
    fault(fault_of_host.code(), fault_of_host)
}

/// The machine does not let us start threads or pollers.
pub fn start(source: &std::io::Error) -> Error<Code> {
    let code = match source.kind() {
        std::io::ErrorKind::WouldBlock => "EAGAIN",
        std::io::ErrorKind::OutOfMemory => "ENOMEM",
        _ => shortage(source).unwrap_or("TIDEWIRE_START_FAILED"),
    };
    fault(code, format!("the engine's threads cannot be started: {source}"))
}

/// The pattern of a route is none.
pub fn pattern(source: &InvalidPattern) -> Error<Code> {
    fault(source.code(), source)
}

/// Keys or certificates are wrong.
pub fn tls(source: &TlsMisuse) -> Error<Code> {
    fault(source.code(), source)
}

/// A failure of Node-API itself.
pub fn node(source: Error) -> Error<Code> {
    Error::new(Code::from(source.status), source.reason.clone())
}
