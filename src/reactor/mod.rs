//! Established connections.

mod adoption;
mod route;

pub use adoption::{Adopter, Adoption};
pub use route::Route;
