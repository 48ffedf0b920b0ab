//! A telephone at the end of a stream, the same over every transport.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tapeline_core::boundary::transport::Transport;

use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, WebSocket};

use super::{Message, Node, PATIENCE, Phone, SILENCE, tls};

/// A connection to the node.
pub trait Pipe {
    /// Bytes of a stream, or one WebSocket message; an error when the node has closed it.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// The next message or keep-alive; `None` when nothing came in time.
    fn read(&mut self, patience: Duration) -> Heard;
    fn socket(&self) -> &TcpStream;
}

#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Bytes(Vec<u8>),
    Nothing,
    Closed,
}

/// TCP or TLS.
pub struct Bytes<S> {
    pub stream: S,
    pub socket: TcpStream,
    pending: Vec<u8>,
}

impl<S: Read + Write> Bytes<S> {
    pub fn new(stream: S, socket: TcpStream) -> Self {
        Self { stream, socket, pending: Vec::new() }
    }

    /// One whole message at the front, or the answer to a keep-alive.
    fn whole(&mut self) -> Option<Vec<u8>> {
        if self.pending.starts_with(b"\r\n") {
            return Some(self.pending.drain(..2).collect());
        }
        let head = self.pending.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.pending[..head]).to_lowercase();
        let (_, length) = text.split_once("content-length: ")?;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        (self.pending.len() >= head + length).then(|| self.pending.drain(..head + length).collect())
    }
}

impl<S: Read + Write> Pipe for Bytes<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn read(&mut self, patience: Duration) -> Heard {
        let end = Instant::now() + patience;
        let mut buffer = [0; 65_536];
        loop {
            if let Some(message) = self.whole() {
                return Heard::Bytes(message);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut buffer) {
                Ok(0) => return Heard::Closed,
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Heard::Closed,
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

pub fn connect(transport: Transport, door: SocketAddr) -> Box<dyn Pipe> {
    let socket = TcpStream::connect(door).unwrap();
    socket.set_nodelay(true).unwrap();
    let second = socket.try_clone().unwrap();
    match transport {
        Transport::Tcp => Box::new(Bytes::new(socket, second)),
        Transport::Tls => {
            let mut stream = tls::client(socket, None);
            stream.conn.complete_io(&mut stream.sock).unwrap();
            Box::new(Bytes::new(stream, second))
        }
        Transport::Ws => Box::new(Frames::new(socket, second)),
        Transport::Wss => Box::new(Frames::new(tls::client(socket, None), second)),
        Transport::Udp => panic!("UDP is no stream"),
    }
}

/// WS or WSS, as a browser does it.
pub struct Frames<S> {
    socket: TcpStream,
    pub web: WebSocket<S>,
}

impl<S: Read + Write> Frames<S> {
    pub fn new(stream: S, socket: TcpStream) -> Self {
        let web = upgraded(stream, "sip").unwrap_or_else(|error| panic!("{error}"));
        Self { socket, web }
    }
}

/// The upgrade of a client that asks for a subprotocol.
pub fn upgraded<S: Read + Write>(stream: S, protocol: &str) -> Result<WebSocket<S>, String> {
    let mut request = "ws://localhost/".into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    match tungstenite::client(request, stream) {
        Ok((web, response)) => {
            assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
            Ok(web)
        }
        Err(error) => Err(error.to_string()),
    }
}

impl<S: Read + Write> Pipe for Frames<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let message = match std::str::from_utf8(bytes) {
            Ok(text) => tungstenite::Message::text(text),
            Err(_) => tungstenite::Message::binary(bytes.to_vec()),
        };
        self.web.send(message).map_err(std::io::Error::other)
    }

    fn read(&mut self, patience: Duration) -> Heard {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.web.read() {
                Ok(tungstenite::Message::Text(text)) => {
                    return Heard::Bytes(text.as_bytes().to_vec());
                }
                Ok(tungstenite::Message::Close(_)) => return Heard::Closed,
                Ok(_) => {}
                Err(tungstenite::Error::Io(e))
                    if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Heard::Closed,
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// A telephone that can be reached over its connection alone.
pub struct Caller {
    pub phone: Phone,
    pub pipe: Box<dyn Pipe>,
}

impl Caller {
    pub fn new(node: &Node, transport: Transport) -> Self {
        Self::at(node.door(transport), transport)
    }

    pub fn at(door: SocketAddr, transport: Transport) -> Self {
        Self::by(connect(transport, door), Phone::to(door), transport)
    }

    pub fn by(pipe: Box<dyn Pipe>, mut phone: Phone, transport: Transport) -> Self {
        phone.via = transport.via();
        phone.contact = format!("sip:anna@nowhere.invalid{}", transport.uri_parameter());
        Self { phone, pipe }
    }

    /// The same telephone on a new connection.
    pub fn reconnect(&mut self, node: &Node, transport: Transport) {
        self.pipe = connect(transport, node.door(transport));
    }

    /// Closes the connection without a word: no answer is read any more, and the kernel resets it
    /// when the last handle goes.
    pub fn vanish(&self) {
        let socket = socket2::SockRef::from(self.pipe.socket());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        let closed = self.pipe.socket().shutdown(std::net::Shutdown::Both);
        // The node may have closed it before.
        assert!(closed.is_ok() || closed.is_err_and(|e| e.kind() == ErrorKind::NotConnected));
    }

    pub fn write(&mut self, text: impl AsRef<[u8]>) {
        self.pipe.write(text.as_ref()).unwrap();
    }

    pub fn send(&mut self, method: &str, body: &str) -> String {
        self.phone.seq += 1;
        let text = self.phone.text(method, &Phone::branch(), self.phone.seq, body);
        self.write(&text);
        text
    }

    pub fn send_invite(&mut self, sdp: &str) -> String {
        self.phone.seq += 1;
        self.phone.invite_seq = self.phone.seq;
        self.phone.invite_branch = Phone::branch();
        let text = self.phone.text("INVITE", &self.phone.invite_branch, self.phone.seq, sdp);
        self.write(&text);
        text
    }

    pub fn ack(&mut self) {
        let text = self.phone.text("ACK", &Phone::branch(), self.phone.invite_seq, "");
        self.write(text);
    }

    pub fn receive(&mut self) -> Message {
        match self.pipe.read(PATIENCE) {
            Heard::Bytes(bytes) => Message::parse(&bytes),
            other => panic!("the node says nothing: {other:?}"),
        }
    }

    /// The next response that is no 100; remembers the To tag of our dialog.
    pub fn expect(&mut self, status: u16) -> Message {
        loop {
            let message = self.receive();
            let got = message.status();
            if got == 100 && status != 100 {
                continue;
            }
            assert_eq!(got, status, "{message:?}");
            let is_invite = message.get("CSeq").ends_with(" INVITE");
            if self.phone.to_tag.is_none() && is_invite && (180..300).contains(&got) {
                self.phone.to_tag = Some(message.tag("To"));
            }
            return message;
        }
    }

    pub fn ok(&mut self, request: &Message) {
        let mut text = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        self.write(format!("{text}Content-Length: 0\r\n\r\n"));
    }

    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.pipe.read(end.saturating_duration_since(Instant::now())) == Heard::Closed {
                return true;
            }
        }
        false
    }

    pub fn is_open(&mut self) -> bool {
        self.pipe.read(SILENCE) == Heard::Nothing
    }

    /// The connection is kept and the node answers on it.
    pub fn is_answered(&mut self) {
        let mut probe = Phone::to(self.phone.node);
        probe.via = self.phone.via;
        probe.seq = 1;
        self.write(probe.text("OPTIONS", &Phone::branch(), 1, ""));
        assert_eq!(self.receive().status(), 200);
    }
}
