//! The keys and certificates of an App as they cross from JavaScript, whose files `lib/` has read.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use super::engine::Engine;
use super::fault::{self, Result};
use crate::gate::Security;
use crate::tls::{Credentials, Identity};

/// What an App gives for TLS: see [`Credentials`]. No copy of the key is made here.
#[napi(object, object_to_js = false)]
pub struct TlsCredentials {
    /// PEM.
    pub cert: Uint8Array,
    /// PEM.
    pub key: Uint8Array,
    /// Of the key.
    pub passphrase: Option<String>,
    /// PEM.
    pub ca: Option<Uint8Array>,
    /// Names, separated by colons.
    pub ciphers: Option<String>,
}

impl TlsCredentials {
    /// Checks them.
    pub fn identity(&self) -> Result<Identity> {
        let credentials = Credentials {
            cert: &self.cert,
            key: &self.key,
            passphrase: self.passphrase.as_deref(),
            ca: self.ca.as_deref(),
            ciphers: self.ciphers.as_deref(),
        };
        Identity::new(&credentials).map_err(|misuse| fault::tls(&misuse))
    }
}

#[napi]
impl Engine {
    /// Sets the identity of a server name, or the default, for the handshakes that begin from now on. Checked first:
    /// what there was stays if it throws.
    #[napi]
    pub fn set_identity(&self, server_name: Option<String>, credentials: TlsCredentials) -> Result<()> {
        self.security()?.set(server_name.as_deref(), credentials.identity()?);
        Ok(())
    }

    /// Whether a server name was added.
    #[napi]
    pub fn has_server_name(&self, server_name: String) -> bool {
        self.security.as_ref().is_some_and(|security| security.has(&server_name))
    }

    /// Takes a server name out, and its routes. `false`: it is not there.
    #[napi]
    pub fn remove_server_name(&self, server_name: String) -> bool {
        self.security.as_ref().is_some_and(|security| security.remove(&server_name))
    }

    /// Whether JavaScript is asked for server names that are not there.
    #[napi]
    pub fn set_asks_server_name(&self, on: bool) {
        if let Some(security) = &self.security {
            security.ask(on);
        }
    }

    pub(super) fn security(&self) -> Result<&Security> {
        self.security.as_ref().ok_or_else(|| fault::fault("TIDEWIRE_NO_TLS", "the App speaks no TLS"))
    }
}
