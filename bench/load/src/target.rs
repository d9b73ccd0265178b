//! Which server a run is against: its addresses, its process, and the upgrade request for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::args::Args;
use crate::deflate::OFFER;
use crate::failure::Failure;
use crate::handshake;
use crate::proc::ProcessId;
use crate::tls::Tls;

/// Connections to one destination address. Each needs a local port of its own there, and Linux has
/// 28,232 by default, but hands out every second one first: when those 14,116 are taken, a connect
/// searches through all of them, and a ramp that ran at 25,000 a second falls to 3,000.
pub const CONNECTIONS_PER_ADDRESS: usize = 12_000;

/// The server and the ways to it.
#[derive(Clone)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    /// The upgrade request, ready to be written.
    pub request: Vec<u8>,
    /// The path that is asked for.
    pub path: String,
    /// Whether permessage-deflate is offered.
    pub deflate: bool,
    /// What is spoken beneath HTTP, if it is TLS.
    pub tls: Option<Tls>,
    /// The server's process, if its CPU time or memory is wanted.
    pub process: Option<ProcessId>,
}

impl Target {
    /// Reads `--port`, `--host` (127.0.0.1), `--addresses`, `--path` (/), `--deflate`, `--tls` (a PEM file with the
    /// server's certificate), `--pid` and `--allow-remote`.
    /// The addresses are `host` and those that follow it: 127.0.0.1, 127.0.0.2 and so on.
    pub fn from_args(args: &mut Args, default_addresses: usize) -> Result<Self, Failure> {
        let port: u16 =
            args.optional("port")?.ok_or_else(|| Failure::new("--port is missing: where does the server listen?"))?;
        let host = args.value("host", IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        if !args.switch("allow-remote")? && !host.is_loopback() {
            return Err(Failure::new(format!(
                "--host {host} is another machine: load may only go there with --allow-remote"
            )));
        }
        let addresses = args.count("addresses", default_addresses, 1)?;
        let path = args.value("path", "/".to_owned())?;
        let deflate = args.switch("deflate")?;
        let tls = args.optional::<String>("tls")?.map(|file| Tls::trusting(&file)).transpose()?;
        Ok(Self {
            addresses: consecutive(host, port, addresses)?,
            request: handshake::request(&SocketAddr::new(host, port).to_string(), &path, deflate.then_some(OFFER)),
            path,
            deflate,
            tls,
            process: args.optional("pid")?.map(ProcessId),
        })
    }

    /// Another port of the same server, spoken to over TLS.
    pub fn over_tls(&self, port: u16, tls: Tls) -> Self {
        let addresses = self.addresses.iter().map(|address| SocketAddr::new(address.ip(), port)).collect();
        Self { addresses, tls: Some(tls), ..self.clone() }
    }

    /// The server's process, for a mode that cannot do without.
    pub fn required_process(&self) -> Result<ProcessId, Failure> {
        self.process.ok_or_else(|| Failure::new("--pid is missing: this mode reads the memory of the server's process"))
    }

    /// The address for the connection with this running number: each in turn.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number % self.addresses.len()]
    }
}

fn consecutive(host: IpAddr, port: u16, count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let too_many = || Failure::new(format!("--addresses is {count}, too many to count up from {host}"));
    let address = |offset: usize| match host {
        IpAddr::V4(first) => u32::try_from(offset)
            .ok()
            .and_then(|offset| first.to_bits().checked_add(offset))
            .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
            .filter(|address| address.is_loopback() == first.is_loopback()),
        IpAddr::V6(_) => (offset == 0).then_some(host),
    };
    (0..count)
        .map(|offset| address(offset).map(|address| SocketAddr::new(address, port)))
        .collect::<Option<_>>()
        .ok_or_else(too_many)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(line: &str) -> Result<Target, Failure> {
        let (_, mut args) = Args::parse(line.split(' ').map(str::to_owned))?;
        Target::from_args(&mut args, 2)
    }

    #[test]
    fn connections_take_the_addresses_in_turn() {
        let target = target("echo --port 80").expect("a target");
        let found = [0, 1, 2].map(|number| target.address(number).to_string());
        assert_eq!(found, ["127.0.0.1:80", "127.0.0.2:80", "127.0.0.1:80"]);
    }

    #[test]
    fn other_machines_need_a_word() {
        assert!(target("echo --port 80 --host 192.0.2.1").is_err());
        assert!(target("echo --port 80 --host 192.0.2.1 --allow-remote").is_ok());
        assert!(target("echo --port 80 --host ::1").is_err(), "two addresses from ::1");
        assert!(target("echo --port 80 --host ::1 --addresses 1").is_ok());
    }
}
