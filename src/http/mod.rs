//! HTTP/1.1 without a socket: which requests may pass, where their path leads, how a refusal reads.
//!
//! The gate calls it for each request, before hyper parses it and behind that. Pure functions and one tree; nothing
//! here knows a descriptor, a clock or a thread, and nothing is kept between two requests.

mod content;
mod declared;
pub mod fields;
mod head;
mod opening;
mod origin;
mod pattern;
mod plain;
pub mod proxy;
pub mod request;
mod response;
mod router;
mod text;

pub use content::{Content, Framing};
pub use declared::{Declared, InvalidInstructions};
pub use head::{Head, HeadScreen};
pub use opening::PlainOpening;
pub use origin::{Origin, Origins};
pub use pattern::InvalidPattern;
pub use plain::Plain;
pub use response::{Refusal, Then};
pub use router::{Match, Matches, Router};
pub use text::HeadText;
