//! The Node-API face.
