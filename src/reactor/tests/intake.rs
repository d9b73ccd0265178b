//! What waits while JavaScript is busy.
