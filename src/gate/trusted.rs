//! The proxies whose word is taken for whom they speak for, when connections are counted for addresses.
//!
//! Made once from the option `trustProxy`, asked for each connection of an App that counts. What a proxy says comes in
//! the head of the PROXY protocol, or in `X-Forwarded-For`, to which each proxy appends whom it has heard.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::limits;

/// See the module. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Vec<Network>,
    /// Whoever comes by a Unix domain socket.
    unix: bool,
}

/// The addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    /// So many of its bits are the same for all.
    bits: u32,
}

/// Where those are taken to be, all together, for whom a proxy on a Unix domain socket speaks without an address.
const NOWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The name of the clients of Unix domain sockets.
const UNIX: &str = "unix";

impl Trusted {
    /// Reads addresses (`192.0.2.7`, `2001:db8::1`), networks (`10.0.0.0/8`) and `unix`. The first one that is neither
    /// comes back, or `None` if they are too many.
    ///
    /// # Errors
    ///
    /// As told.
    pub fn parse(names: &[String]) -> Result<Self, Option<&str>> {
        if names.len() > limits::TRUSTED_NETWORKS {
            return Err(None);
        }
        let mut trusted = Self::default();
        for name in names {
            match name.as_str() {
                UNIX => trusted.unix = true,
                name => trusted.networks.push(Network::parse(name).ok_or(Some(name))?),
            }
        }
        Ok(trusted)
    }

    /// Whether a peer's word is taken. One without an address has come by a Unix domain socket.
    pub(super) fn trusts_peer(&self, peer: Option<SocketAddr>) -> bool {
        peer.map_or(self.unix, |peer| self.trusts(peer.ip()))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = bits_of(address);
        self.networks.iter().any(|network| network.has(address))
    }

    /// Whom a trusted peer speaks for: the last one who is named by somebody trusted. `forwarded` are the values of
    /// `X-Forwarded-For`, as they stand. `None`: it speaks for nobody. For whom it speaks without an address it answers
    /// itself: that is `peer`, or [`NOWHERE`] where that has none.
    pub(super) fn client<'h>(
        &self,
        peer: Option<IpAddr>,
        proxied: Option<IpAddr>,
        forwarded: impl DoubleEndedIterator<Item = &'h [u8]>,
    ) -> Option<IpAddr> {
        let mut client = proxied;
        let entries = forwarded.rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        for entry in entries.filter(|entry| !entry.trim_ascii().is_empty()) {
            if client.is_some_and(|client| !self.trusts(client)) {
                break;
            }
            // What is no address ends the way, at who has written it: what stands before it is nobody's word.
            let Some(named) = address_in(entry) else { return client.or(peer).or(Some(NOWHERE)) };
            client = Some(named);
        }
        client
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(bits.parse().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then(|| Self { address: bits_of(address), bits: bits + 128 - width })
    }

    fn has(self, address: u128) -> bool {
        (self.address ^ address).checked_shr(128 - self.bits).is_none_or(|difference| difference == 0)
    }
}

/// An address of IPv4 as IPv6 has it (RFC 4291 §2.5.5.2).
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address, perhaps with a port, as some proxies write it.
fn address_in(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| entry.parse().map(|address: SocketAddr| address.ip()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(names: &[&str]) -> Trusted {
        Trusted::parse(&names.map_to_strings()).unwrap()
    }

    trait Names {
        fn map_to_strings(&self) -> Vec<String>;
    }

    impl Names for [&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn networks_have_those_that_begin_alike() {
        let trusted = trusted(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]);
        let trusts = |peer: &str| trusted.trusts(peer.parse().unwrap());
        for peer in ["10.0.0.0", "10.255.1.2", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:ffff::1", "::1"] {
            assert!(trusts(peer), "{peer}");
        }
        for peer in ["11.0.0.0", "192.0.2.6", "2001:db9::", "::2", "::10.0.0.1", "::ffff:11.0.0.1"] {
            assert!(!trusts(peer), "{peer}");
        }
        assert!(!trusted.trusts_peer(None));
        let all = Trusted::parse(&["0.0.0.0/0", "unix"].map_to_strings()).unwrap();
        assert!(all.trusts("1.2.3.4".parse().unwrap()) && !all.trusts("::1".parse().unwrap()));
        assert!(all.trusts_peer(None));
        assert!(Trusted::parse(&["::/0"].map_to_strings()).unwrap().trusts("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a", "10.0.0.0/", "10.0.0.0/+8", "fe80::1%lo", "Unix"] {
            assert_eq!(Trusted::parse(&["::1", bad].map_to_strings()), Err(Some(bad)));
        }
        let many = vec!["::1".to_owned(); limits::TRUSTED_NETWORKS + 1];
        assert_eq!(Trusted::parse(&many), Err(None));
    }

    #[test]
    fn the_client_is_the_last_one_that_a_trusted_one_names() {
        let trusted = trusted(&["10.0.0.0/8", "unix"]);
        let client = |proxied: Option<&str>, lines: &[&str]| {
            let proxied = proxied.map(|proxied| proxied.parse().unwrap());
            let peer = Some("10.0.0.1".parse().unwrap());
            trusted.client(peer, proxied, lines.iter().map(|line| line.as_bytes())).map(|client| client.to_string())
        };
        for (proxied, lines, expected) in [
            (None, &[][..], None),
            (None, &["1.2.3.4"][..], Some("1.2.3.4")),
            (None, &["6.6.6.6, 1.2.3.4"], Some("1.2.3.4")),
            (None, &["6.6.6.6, 1.2.3.4 ,10.0.0.2"], Some("1.2.3.4")),
            (None, &["6.6.6.6", "1.2.3.4", "10.0.0.2,10.0.0.3"], Some("1.2.3.4")),
            (None, &["10.0.0.9, 10.0.0.2"], Some("10.0.0.9")),
            (None, &["6.6.6.6, unknown"], Some("10.0.0.1")),
            (None, &["6.6.6.6, unknown, 10.0.0.2"], Some("10.0.0.2")),
            (None, &["[2001:db8::1]:80"], Some("2001:db8::1")),
            (None, &["1.2.3.4:5678, ", ","], Some("1.2.3.4")),
            (Some("1.2.3.4"), &["6.6.6.6"], Some("1.2.3.4")),
            (Some("10.0.0.2"), &["6.6.6.6, 1.2.3.4"], Some("1.2.3.4")),
            (Some("10.0.0.2"), &[], Some("10.0.0.2")),
            (Some("10.0.0.2"), &["6.6.6.6, unknown"], Some("10.0.0.2")),
            (Some("1.2.3.4"), &["unknown"], Some("1.2.3.4")),
            (None, &["\u{e4}"], Some("10.0.0.1")),
            (None, &[" , "], None),
        ] {
            assert_eq!(client(proxied, lines).as_deref(), expected, "{proxied:?} {lines:?}");
        }
        // By a Unix domain socket the proxy has no address either.
        assert_eq!(trusted.client(None, None, [&b"unknown"[..]].into_iter()), Some(NOWHERE));
    }
}
