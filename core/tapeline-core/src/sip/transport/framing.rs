//! Messages out of a stream of bytes (RFC 3261 §18.3). Pure: bytes in, [`Frame`]s out.
//!
//! ```text
//! [CRLF CRLF = keep-alive] head CRLF CRLF body of Content-Length bytes [head …]
//! ```

/// Bytes of start line and headers.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
pub(crate) const MAX_HEADERS: usize = 100;
/// Bytes of a message, its head included.
pub(crate) const MAX_MESSAGE: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Message(Vec<u8>),
    /// RFC 5626 §3.5.1, to be answered with one CRLF.
    KeepAlive,
    /// The head of a message whose end nobody can know: it may be answered, then the stream is over.
    Last(Vec<u8>),
}

/// The stream cannot be read on, and there is nobody to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A head or a message past its bound.
    TooLarge,
    /// What comes is no SIP.
    NotSip,
}

/// The bytes of one stream that make no message yet; never more than [`MAX_MESSAGE`] and one read.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    /// No end of a head begins before it.
    searched: usize,
}

impl Framer {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A message has begun and has not ended.
    pub fn is_within_message(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != b'\r' && byte != b'\n')
    }

    /// The next whole frame; `None` when more bytes are wanted.
    pub fn next(&mut self) -> Result<Option<Frame>, Broken> {
        if self.bytes.starts_with(b"\r\n\r\n") {
            self.drop_front(4);
            return Ok(Some(Frame::KeepAlive));
        }
        let is_undecided = b"\r\n\r\n".starts_with(&self.bytes);
        if is_undecided {
            return Ok(None);
        }
        let blank = self.bytes.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
        self.drop_front(blank);
        self.message()
    }

    fn message(&mut self) -> Result<Option<Frame>, Broken> {
        let Some(head_length) = self.head_length()? else { return Ok(None) };
        let head = self.bytes.get(..head_length).unwrap_or_default();
        check_head(head)?;
        let length = match content_length(head).map(|length| head_length.checked_add(length)) {
            Some(Some(length)) if length <= MAX_MESSAGE => length,
            Some(_) => return Err(Broken::TooLarge),
            None => {
                let head = head.to_vec();
                self.drop_front(self.bytes.len());
                return Ok(Some(Frame::Last(head)));
            }
        };
        if self.bytes.len() < length {
            return Ok(None);
        }
        let message = self.bytes.get(..length).unwrap_or_default().to_vec();
        self.drop_front(length);
        Ok(Some(Frame::Message(message)))
    }

    /// With the empty line that ends it.
    fn head_length(&mut self) -> Result<Option<usize>, Broken> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let found = unsearched.windows(4).position(|window| window == b"\r\n\r\n");
        match found.map(|at| self.searched + at + 4) {
            Some(length) if length > MAX_HEAD => Err(Broken::TooLarge),
            Some(length) => Ok(Some(length)),
            None if self.bytes.len() > MAX_HEAD => Err(Broken::TooLarge),
            None => {
                self.searched = self.bytes.len().saturating_sub(3);
                Ok(None)
            }
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        self.searched = 0;
    }
}

/// Bounds of a head, and whether it is SIP's at all. Also for the messages of a WebSocket.
pub(crate) fn check_head(message: &[u8]) -> Result<(), Broken> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    let head = message.get(..end.unwrap_or(message.len())).unwrap_or_default();
    let mut lines = head.split(|&byte| byte == b'\n');
    let start = lines.next().unwrap_or_default().trim_ascii();
    if head.len() > MAX_HEAD || lines.count() > MAX_HEADERS {
        return Err(Broken::TooLarge);
    }
    let last_word = start.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let is_sip = [start, last_word]
        .iter()
        .any(|text| text.get(..4).is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/")));
    if is_sip { Ok(()) } else { Err(Broken::NotSip) }
}

/// Of the body; 0 when the head does not say, which a stream must (RFC 3261 §20.14). `None` when what
/// it says is no number or two different ones.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut length = None;
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = value.get(1..).unwrap_or_default().trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        // More digits than fit are a length past every bound, not a malformed one.
        let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        let value = text.parse().unwrap_or(usize::MAX);
        if length.replace(value).is_some_and(|other| other != value) {
            return None;
        }
    }
    Some(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: ";

    /// All frames of a stream that comes in pieces of `step` bytes.
    fn frames(stream: &[u8], step: usize) -> Result<Vec<Frame>, Broken> {
        let mut framer = Framer::default();
        let mut frames = Vec::new();
        for piece in stream.chunks(step) {
            framer.push(piece);
            while let Some(frame) = framer.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let first = format!("{HEAD}3\r\n\r\nabc");
        let second = "SIP/2.0 200 OK\r\nl : 0\r\n\r\n";
        let third = "BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n";
        let stream = format!("\r\n{first}\r\n\r\n{second}\r\n\r\n\r\n{third}\r\n");
        let message = |text: &str| Frame::Message(text.into());
        let expected =
            [message(&first), Frame::KeepAlive, message(second), Frame::KeepAlive, message(third)];
        for step in [1, 2, 3, 7, 50, 1_000] {
            assert_eq!(frames(stream.as_bytes(), step).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn a_length_is_checked_before_it_is_believed() {
        let cases: [(&str, Result<usize, Broken>); 9] = [
            ("65536", Err(Broken::TooLarge)),
            ("18446744073709551615", Err(Broken::TooLarge)),
            ("18446744073709551616", Err(Broken::TooLarge)),
            ("99999999999999999999999999", Err(Broken::TooLarge)),
            ("-1", Ok(1)),
            ("0x10", Ok(1)),
            ("", Ok(1)),
            ("0\r\nl: 1", Ok(1)),
            ("4", Ok(0)),
        ];
        for (length, expected) in cases {
            let got = frames(format!("{HEAD}{length}\r\n\r\n").as_bytes(), 1_000);
            assert_eq!(got.as_ref().map(Vec::len), expected.as_ref().map(|&n| n), "{length}");
            let is_last = got.is_ok_and(|frames| matches!(frames.first(), Some(Frame::Last(_))));
            assert_eq!(is_last, expected == Ok(1), "{length}");
        }
        let same = frames(format!("{HEAD}1\r\nl: 1\r\n\r\nx").as_bytes(), 1_000).unwrap();
        assert!(matches!(&same[..], [Frame::Message(_)]));
    }

    #[test]
    fn bounds_hold() {
        let start = "OPTIONS sip:a SIP/2.0\r\n";
        let endless = format!("{start}X: {}", "y".repeat(MAX_HEAD));
        let many = format!("{start}{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        let enough = format!("{start}{}\r\n", "X: y\r\n".repeat(MAX_HEADERS));
        assert_eq!(frames(endless.as_bytes(), 1_000), Err(Broken::TooLarge));
        assert_eq!(frames(many.as_bytes(), 1_000), Err(Broken::TooLarge));
        assert_eq!(frames(enough.as_bytes(), 1_000).unwrap().len(), 1);
        assert_eq!(frames(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 9), Err(Broken::NotSip));
        assert_eq!(frames(&[b'\r'; 5], 1), Ok(vec![]));
    }

    #[test]
    fn a_message_is_under_way_from_its_first_byte() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!((framer.next(), framer.is_within_message()), (Ok(None), false));
        framer.push(b"B");
        assert_eq!((framer.next(), framer.is_within_message()), (Ok(None), true));
    }
}
