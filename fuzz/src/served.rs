//! hyper's server on bytes that are there already, for the targets that ask what it makes of them.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use tidewire::limits;

/// A connection yields from time to time; one that is polled more often does not end.
const POLLS: usize = 10_000;

/// Serves a connection whose peer has sent all of `bytes` and closed. Each read gives up to `read_bytes` of them.
///
/// # Panics
///
/// When the connection does not end.
pub fn serve<S>(bytes: &[u8], read_bytes: usize, service: S)
where
    S: Service<Request<Incoming>, Response = Response<String>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut http = http1::Builder::new();
    http.max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_header_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADER_LINES)
        .half_close(true)
        .auto_date_header(false);
    let mut connection = pin!(http.serve_connection(Wire { rest: bytes, read_bytes: read_bytes.max(1) }, service));
    let mut context = Context::from_waker(Waker::noop());
    let ended = (0..POLLS).any(|_| connection.as_mut().poll(&mut context).is_ready());
    assert!(ended, "hyper does not come to an end");
}

struct Wire<'a> {
    rest: &'a [u8],
    read_bytes: usize,
}

impl Read for Wire<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let (part, rest) = self.rest.split_at(self.rest.len().min(buffer.remaining()).min(self.read_bytes));
        buffer.put_slice(part);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
