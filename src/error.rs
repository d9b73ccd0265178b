//! The error families. The name says whose fault it is: the peer's ([`Violation`]), the
//! application's ([`Misuse`]), the host's ([`HostFault`]).
