//! Publish/subscribe: which connections of one reactor a message to a topic goes to.
//!
//! JavaScript keeps the names of topics, counts their subscribers and answers all questions; a reactor
//! is told numbers, and needs them for one thing: to find the subscribers of a topic. A pure value,
//! used by the reactor's thread alone.

mod index;
mod pages;

pub use index::{Index, SubscriptionId, TopicId};
