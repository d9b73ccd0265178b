//! What the host allows: how many descriptors a process may hold, and how many connections may go to
//! one address. From that follows how many processes and loopback addresses a run needs.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Descriptors that a process needs besides its connections: pipes, poller, libraries.
const OTHER_DESCRIPTORS: u64 = 40;

/// The range of local ports where the kernel does not say.
const PORTS: u64 = 28_232;

/// Addresses that are counted up from 127.0.0.1; so many that a host which needs more has no ports.
const ADDRESSES: usize = 10_000;

/// Raises this process's limit of descriptors as far as it may, and says how far that is. The
/// children inherit it.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(most),
    }
}

/// How many processes hold so many connections, if each may hold `limit` descriptors.
pub fn processes(connections: usize, limit: u64) -> Result<usize, Failure> {
    match limit.checked_sub(OTHER_DESCRIPTORS) {
        None | Some(0) => Err(Failure::new(format!(
            "a process may hold {limit} descriptors only, which leaves none for connections: raise `ulimit -n`"
        ))),
        Some(each) => Ok(connections.div_ceil(usize::try_from(each).unwrap_or(usize::MAX))),
    }
}

/// How many loopback addresses so many connections need, if each address has `ports` local ports.
///
/// Linux hands out every second port first. When those are taken, a connect searches through all of
/// them, and a fast ramp becomes a slow one: so an address gets 85 % of that half.
pub fn addresses(connections: usize, ports: u64) -> Result<usize, Failure> {
    let each = usize::try_from(ports * 17 / 40).unwrap_or(usize::MAX).max(1);
    let addresses = connections.div_ceil(each);
    if addresses > ADDRESSES {
        return Err(Failure::new(format!(
            "{connections} connections over {ports} local ports need {addresses} addresses, more than {ADDRESSES}: \
             widen net.ipv4.ip_local_port_range"
        )));
    }
    Ok(addresses)
}

/// How many local ports the kernel chooses from.
pub fn local_ports() -> u64 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    parse_range(&text).unwrap_or(PORTS)
}

fn parse_range(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let (first, last): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (last >= first).then(|| last - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_follow_the_descriptor_limit() {
        for (connections, limit, wanted) in [
            (1, 1_024, 1),
            (19_000, 20_000, 1),
            (19_960, 20_000, 1),
            (19_961, 20_000, 2),
            (1_000_000, 20_000, 51),
            (1_000_000, 3_000_000, 1),
            (1_000_000, u64::MAX, 1),
        ] {
            assert_eq!(processes(connections, limit).expect("enough"), wanted, "{connections} of {limit}");
        }
        let sentence = processes(1, 40).expect_err("too few").to_string();
        assert!(sentence.contains("`ulimit -n`"), "{sentence}");
    }

    #[test]
    fn addresses_follow_the_range_of_ports() {
        for (connections, ports, wanted) in [(1, 28_232, 1), (11_998, 28_232, 1), (1_000_000, 28_232, 84)] {
            assert_eq!(addresses(connections, ports).expect("enough"), wanted, "{connections} over {ports}");
        }
        assert_eq!(addresses(1_000_000, 64_512).expect("enough"), 37);
        assert!(addresses(1_000_000, 100).expect_err("too few").to_string().contains("ip_local_port_range"));
    }

    #[test]
    fn the_range_has_both_its_ends() {
        assert_eq!(parse_range("32768\t60999\n"), Some(28_232));
        assert_eq!(parse_range("5 5"), Some(1));
        for text in ["", "32768", "60999 32768", "a b"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
