//! The packets of an Ogg stream (RFC 3533). Opus has one stream at a time; when one ends another may
//! begin (chaining, as radio stations do). Others beside it are passed over.

use std::io::{ErrorKind, Read};

use crate::play::source::{DAMAGED, Fault};

const CAPTURE: [u8; 4] = *b"OggS";
const HEAD: usize = 27;
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;
/// What a page's position says when no packet ends in it.
const NO_POSITION: i64 = -1;

/// The longest packet of Opus is 61,298 bytes (RFC 7845 §6); longer ones (tags with pictures) are cut.
const PACKET_BYTES: usize = 61_298;
/// Looked through for the next page, after damage.
const SEARCHED_BYTES: usize = 256 << 10;
/// Pages in a row that are damaged or of other streams.
const USELESS_PAGES: u32 = 1_000;

/// A whole packet and its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub bytes: &'a [u8],
    /// It is the first of its stream.
    pub is_first: bool,
    /// It is the last that ends in its page.
    pub ends_page: bool,
    /// Position at the end of its page, in samples since the stream began; `None`: unknown.
    pub position: Option<i64>,
    /// Its page is the last of its stream.
    pub is_last_page: bool,
}

pub struct OggReader<R> {
    reader: R,
    /// The stream that is read.
    serial: Option<u32>,
    flags: u8,
    position: i64,
    lacing: Vec<u8>,
    /// The next segment, and where it begins in `body`.
    segment: usize,
    at: usize,
    body: Vec<u8>,
    packet: Vec<u8>,
    /// The packet's beginning was in a page that is lost: it is left out.
    is_torn: bool,
}

enum Page {
    Ours,
    Useless,
    End,
}

impl<R: Read> OggReader<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            serial: None,
            flags: 0,
            position: NO_POSITION,
            lacing: Vec::new(),
            segment: 0,
            at: 0,
            body: Vec::new(),
            packet: Vec::new(),
            is_torn: false,
        }
    }

    /// `None` at the end; a file that breaks off ends there.
    pub fn packet(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        self.packet.clear();
        let mut useless = 0;
        loop {
            while let Some(length) = self.lacing.get(self.segment).copied() {
                self.take_segment(usize::from(length));
                if length == u8::MAX {
                    continue;
                }
                if std::mem::take(&mut self.is_torn) {
                    self.packet.clear();
                    continue;
                }
                return Ok(Some(self.finished()));
            }
            match self.next_page()? {
                Page::End => return Ok(None),
                Page::Ours => useless = 0,
                Page::Useless if useless == USELESS_PAGES => return Err(DAMAGED),
                Page::Useless => useless += 1,
            }
        }
    }

    fn take_segment(&mut self, length: usize) {
        let bytes = self.body.get(self.at..self.at + length).unwrap_or(&[]);
        let room = PACKET_BYTES.saturating_sub(self.packet.len());
        self.packet.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or(&[]));
        self.at += length;
        self.segment += 1;
    }

    fn finished(&self) -> Packet<'_> {
        let rest = self.lacing.get(self.segment..).unwrap_or(&[]);
        Packet {
            bytes: &self.packet,
            is_first: self.flags & FIRST != 0,
            ends_page: rest.iter().all(|length| *length == u8::MAX),
            position: (self.position != NO_POSITION).then_some(self.position),
            is_last_page: self.flags & LAST != 0,
        }
    }

    fn next_page(&mut self) -> Result<Page, Fault> {
        let Some(head) = self.find_head()? else { return Ok(Page::End) };
        let [.., count] = head;
        self.lacing.resize(usize::from(count), 0);
        if !self.read_into(Part::Lacing)? {
            return Ok(self.end());
        }
        let length = self.lacing.iter().map(|it| usize::from(*it)).sum();
        self.body.resize(length, 0);
        if !self.read_into(Part::Body)? {
            return Ok(self.end());
        }
        (self.segment, self.at) = (0, 0);
        let [_, _, _, _, version, flags, position @ .., a, b, c, d, _, _, _, _, e, f, g, h, _] =
            head;
        let (serial, checksum) =
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if version != 0 || checksum != self.checksum_of(head) {
            // What was begun is lost with it.
            self.packet.clear();
            self.is_torn = false;
            return Ok(self.pass_over());
        }
        let begins = flags & FIRST != 0 && self.body.starts_with(b"OpusHead");
        if begins {
            self.serial = Some(serial);
            self.packet.clear();
        }
        if self.serial != Some(serial) {
            return Ok(self.pass_over());
        }
        if flags & CONTINUED == 0 {
            self.packet.clear();
        } else if self.packet.is_empty() {
            self.is_torn = true;
        }
        self.flags = flags;
        self.position = i64::from_le_bytes(position);
        Ok(Page::Ours)
    }

    fn pass_over(&mut self) -> Page {
        self.lacing.clear();
        Page::Useless
    }

    fn end(&mut self) -> Page {
        self.lacing.clear();
        Page::End
    }

    /// The next page's head; bytes between pages are damage, and are passed over.
    fn find_head(&mut self) -> Result<Option<[u8; HEAD]>, Fault> {
        let mut head = [0; HEAD];
        let mut filled = 0;
        for _ in 0..SEARCHED_BYTES {
            let missing = head.get_mut(filled..).unwrap_or(&mut []);
            if !fill(&mut self.reader, missing)? {
                return Ok(None);
            }
            if head.starts_with(&CAPTURE) {
                return Ok(Some(head));
            }
            let next = head.iter().skip(1).position(|byte| *byte == b'O');
            let skipped = next.map_or(HEAD, |at| at + 1);
            head.copy_within(skipped.., 0);
            filled = HEAD - skipped;
        }
        Err(DAMAGED)
    }

    /// False when the file ends before.
    fn read_into(&mut self, part: Part) -> Result<bool, Fault> {
        let place = match part {
            Part::Lacing => &mut self.lacing,
            Part::Body => &mut self.body,
        };
        fill(&mut self.reader, place)
    }

    /// Over the whole page, its own field taken as 0.
    fn checksum_of(&self, mut head: [u8; HEAD]) -> u32 {
        if let Some(field) = head.get_mut(22..26) {
            field.fill(0);
        }
        let bytes = head.iter().chain(&self.lacing).chain(&self.body);
        bytes.fold(0, |sum, byte| {
            let entry = CRC.get(usize::from((sum >> 24) as u8 ^ byte)).copied().unwrap_or(0);
            sum << 8 ^ entry
        })
    }
}

enum Part {
    Lacing,
    Body,
}

/// False when the file ends before.
fn fill(reader: &mut impl Read, place: &mut [u8]) -> Result<bool, Fault> {
    match reader.read_exact(place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Fault::of_reading(&error)),
    }
}

/// RFC 3533 §6: polynomial 0x04c11db7, nothing reflected.
#[allow(clippy::indexing_slicing)] // checked when it is compiled
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value >> 31 == 1 { value << 1 ^ 0x04c1_1db7 } else { value << 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};
