//! The load client of tidewire's bench: many connections on one thread.
//!
//! [`swarm`] holds the connections ([`client`]) and the poller; a mode ([`echo`], [`idle`], [`rtt`], [`churn`],
//! [`fanout`], [`storm`], [`herd`], [`flood`], [`swamp`], [`shutdown`]) says what the connections do and what is measured. A mode is one
//! file with `run`; `main.rs` names it. Three are folders: [`http`], whose connections are no WebSockets, [`million`], which has
//! leaner connections, in several processes, and [`soak`], whose connections come and go in every way. The client knows nothing of the server but its port,
//! its process id and, for TLS, its certificate.

pub mod args;
pub mod churn;
pub mod client;
pub mod deflate;
pub mod echo;
pub mod exchange;
pub mod failure;
pub mod fanout;
pub mod flood;
pub mod frame;
pub mod handshake;
pub mod herd;
pub mod histogram;
pub mod http;
pub mod idle;
pub mod measure;
pub mod million;
pub mod payload;
pub mod proc;
pub mod report;
pub mod rtt;
pub mod shutdown;
pub mod soak;
pub mod span;
pub mod storm;
pub mod stream;
pub mod swamp;
pub mod swarm;
pub mod talk;
pub mod target;
pub mod tls;
pub mod torrent;
