//! What decoders read: a file from its start, or a stream while it is fetched.
//!
//! The core fetches nothing. Whoever does listens on a unix socket; for each time that the stream is heard
//! the core connects, sends one byte as a greeting, and reads as fast as it is heard. The other side reads
//! the greeting when it has written all, then closes. When it closes before, the greeting lies unread, and
//! the kernel tells the reader that the connection was reset (unix(7)): the stream broke off.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

const BUFFER: usize = 64 << 10;
/// A stream that says nothing is looked at so often: whether anybody still wants it.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many looks in a row, 30 s, and it has failed.
const LOOKS: u32 = 300;
/// Bytes that tell the kinds of files apart.
const START: usize = 4;

pub struct Input {
    reader: BufReader<Raw>,
    start: Vec<u8>,
    /// Bytes of the start that were given away.
    given: usize,
}

enum Raw {
    File(File),
    Stream(Stream),
}

/// The reading end of a stream.
struct Stream {
    socket: UnixStream,
    /// Gone when nobody hears it any more.
    playback: Weak<()>,
}

impl Stream {
    /// From its beginning.
    fn open(path: &Path, playback: Weak<()>) -> io::Result<Self> {
        let mut socket = UnixStream::connect(path)?;
        socket.write_all(&[0])?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, playback })
    }
}

impl Input {
    /// From the file's start, whatever was read of it before.
    pub fn of_file(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Self::of(Raw::File(file))
    }

    /// `playback` tells whether anybody still hears it.
    pub fn of_stream(path: &Path, playback: Weak<()>) -> io::Result<Self> {
        Self::of(Raw::Stream(Stream::open(path, playback)?))
    }

    fn of(raw: Raw) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(BUFFER, raw);
        let mut start = Vec::with_capacity(START);
        reader.by_ref().take(START as u64).read_to_end(&mut start)?;
        Ok(Self { reader, start, given: 0 })
    }

    /// The first four bytes, fewer when there are no more.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Passes over bytes that nobody needs; fails with `UnexpectedEof` when there are fewer.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

impl Read for Input {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let mut left = self.start.get(self.given..).unwrap_or(&[]);
        if left.is_empty() {
            return self.reader.read(place);
        }
        let count = left.read(place)?;
        self.given += count;
        Ok(count)
    }
}

impl Read for Raw {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(place),
            Self::Stream(stream) => stream.read(place),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        for _ in 0..LOOKS {
            if self.playback.strong_count() == 0 {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            match self.socket.read(place) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}
