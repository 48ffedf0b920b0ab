//! SIP in WebSocket messages (RFC 7118): the upgrade, and the bounds of what comes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::sip::transport::framing::MAX_MESSAGE;
use crate::sip::transport::session::Boxed;

/// Bytes read at once; tungstenite would take 128 kB for each of thousands of phones.
const READ_BUFFER: usize = 4_096;
const PROTOCOL: &str = "sip";

pub(super) type Frames = WebSocketStream<Metered>;

/// When the first byte came of a message that is not whole yet: a WebSocket does not tell.
#[derive(Default)]
pub(super) struct Meter {
    pub begun: Cell<Option<Instant>>,
    pub changed: Notify,
}

/// A connection that tells its meter what it reads.
pub(super) struct Metered {
    inner: Boxed,
    pub meter: Rc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before && self.meter.begun.get().is_none() {
            self.meter.begun.set(Some(Instant::now()));
            self.meter.changed.notify_one();
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The server's half of the upgrade. Who does not speak `sip` is refused (RFC 7118 §4).
pub(super) async fn upgrade(inner: Boxed, queue: usize) -> io::Result<Frames> {
    let wire = Metered { inner, meter: Rc::default() };
    let bounds = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(queue + MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    accept_hdr_async_with_config(wire, agree, Some(bounds)).await.map_err(io::Error::other)
}

#[allow(clippy::result_large_err)] // The shape of tungstenite's callback.
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let speaks_sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(PROTOCOL));
    if !speaks_sip {
        let mut refusal = ErrorResponse::new(Some("the subprotocol sip is spoken here".into()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    let sip = HeaderValue::from_static(PROTOCOL);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, sip);
    Ok(response)
}
