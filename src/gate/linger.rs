//! The end of a connection behind its last response.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::timeout;

use super::stream::Stream;
use crate::limits;

/// Ends a connection such that the peer can read the last response: what it still sends would make
/// the kernel reset the connection, and the response with it (RFC 9112 §9.6).
pub(super) async fn linger(mut stream: Stream) {
    let drained = async {
        // It fails only for a connection that is gone; then the first read says so.
        let _ = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
        let socket = stream.socket();
        let mut waste = [0; 1024];
        let mut left = limits::LINGER_BYTES;
        while socket.readable().await.is_ok() {
            match socket.try_read(&mut waste) {
                Ok(0) => break,
                Ok(read) if read < left => left -= read,
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    // A peer that neither closes nor reads is left to its fate.
    let _ = timeout(Duration::from_secs(limits::CLOSING_SECONDS.into()), drained).await;
}
