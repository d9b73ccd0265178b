//! What the machine, its kernel or its network configuration refuses.

use std::error::Error;
use std::fmt;
use std::io;

/// The host did not let us listen. Shown with the address, or the path, and what to do about it.
#[derive(Debug)]
pub enum HostFault {
    /// Another socket has the port, and does not share it.
    AddressInUse {
        /// The address that was to be bound, as `host:port`.
        address: String,
    },
    /// The process may not bind the port; most often it is one below 1024.
    AccessDenied {
        /// See [`HostFault::AddressInUse`].
        address: String,
    },
    /// No network interface of this machine has the address.
    AddressNotAvailable {
        /// See [`HostFault::AddressInUse`].
        address: String,
    },
    /// The name has no address.
    UnknownHost {
        /// The name as it was given.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Somebody listens on the path, or a file is there that is no socket.
    PathInUse {
        /// The path as it was given.
        path: String,
    },
    /// The process may not make a file there.
    PathDenied {
        /// See [`HostFault::PathInUse`].
        path: String,
    },
    /// The path leads through a directory that is not there.
    NoDirectory {
        /// See [`HostFault::PathInUse`].
        path: String,
    },
    /// This platform listens on ports alone.
    NoUnixSockets,
    /// Anything else, as the system says it.
    Other {
        /// See [`HostFault::AddressInUse`].
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

impl HostFault {
    /// The fault behind a failed system call on a socket for `address`.
    pub fn from_io(source: io::Error, address: String) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address },
            io::ErrorKind::PermissionDenied => Self::AccessDenied { address },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable { address },
            _ => Self::Other { address, source },
        }
    }

    /// The fault behind a failed system call on a socket for `path`.
    pub fn from_path_io(source: io::Error, path: String) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PathInUse { path },
            io::ErrorKind::PermissionDenied => Self::PathDenied { path },
            io::ErrorKind::NotFound => Self::NoDirectory { path },
            _ => Self::Other { address: path, source },
        }
    }

    /// The stable code of the JavaScript error, named as Node.js names it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AddressInUse { .. } | Self::PathInUse { .. } => "EADDRINUSE",
            Self::AccessDenied { .. } | Self::PathDenied { .. } => "EACCES",
            Self::AddressNotAvailable { .. } => "EADDRNOTAVAIL",
            Self::UnknownHost { .. } => "ENOTFOUND",
            Self::NoDirectory { .. } => "ENOENT",
            Self::NoUnixSockets => "TIDEWIRE_NO_UNIX_SOCKETS",
            Self::Other { .. } => "TIDEWIRE_LISTEN_FAILED",
        }
    }
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressInUse { address } => write!(
                f,
                "Cannot listen on {address}: the address is in use by another socket. Stop what \
                 listens there, or choose another port."
            ),
            Self::AccessDenied { address } => write!(
                f,
                "Cannot listen on {address}: permission denied. Choose a port above 1023, or give \
                 the process the right to bind this one."
            ),
            Self::AddressNotAvailable { address } => {
                write!(f, "Cannot listen on {address}: no network interface of this machine has this address.")
            }
            Self::UnknownHost { host, source } => {
                write!(f, "Cannot listen on {host:?}: the name has no address ({source}).")
            }
            Self::PathInUse { path } => write!(
                f,
                "Cannot listen on {path}: another socket listens there, or the file is no socket. Stop what \
                 listens, or choose another path."
            ),
            Self::PathDenied { path } => {
                write!(
                    f,
                    "Cannot listen on {path}: permission denied. Choose a directory that the process may write to."
                )
            }
            Self::NoDirectory { path } => {
                write!(f, "Cannot listen on {path}: there is no such directory. Make it, or choose another path.")
            }
            Self::NoUnixSockets => {
                f.write_str("Cannot listen on a path: this platform has no Unix domain sockets. Listen on a port.")
            }
            Self::Other { address, source } => write!(f, "Cannot listen on {address}: {source}."),
        }
    }
}

impl Error for HostFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::UnknownHost { source, .. } | Self::Other { source, .. } => Some(source),
            _ => None,
        }
    }
}
