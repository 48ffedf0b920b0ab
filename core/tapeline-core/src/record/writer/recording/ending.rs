//! How a recording ends: by its last mark, for lack of room, abandoned, or by a fault of its files.

use std::io;

use crate::boundary::counters::Counters;
use crate::boundary::event::{Event, FinishReason};
use crate::record::format::{Encoder, EncoderFault};
use crate::record::journal::Totals;
use crate::record::part::PartFault;
use crate::record::part::body::FileHash;
use crate::record::spec::Format;
use crate::record::writer::recording::{Desk, Phase, Recording, Visit};

impl Recording {
    /// While there is still room for a last frame, for heads, rows and hashes.
    pub(super) fn end_for_lack_of_room(&mut self, desk: &mut Desk) -> Result<(), PartFault> {
        let fault = self.part.fault(io::ErrorKind::StorageFull.into());
        self.trouble(&fault.to_string(), desk);
        self.has_failed = true;
        self.end(FinishReason::WriterFailed, self.sample_count, desk)
    }

    /// The audio thread let go without saying the end.
    pub(super) fn end_abandoned(&mut self, desk: &mut Desk) -> Result<(), PartFault> {
        if self.started_unix_us.is_none() {
            self.phase = Phase::Unwanted { reason: FinishReason::RoomClosed };
            return Ok(());
        }
        self.trouble("the audio thread let go of the recording", desk);
        self.end(FinishReason::RoomClosed, self.sample_count, desk)
    }

    pub(super) fn end(
        &mut self,
        reason: FinishReason,
        keep: u64,
        desk: &mut Desk,
    ) -> Result<(), PartFault> {
        if self.started_unix_us.is_none() {
            self.phase = Phase::Unwanted { reason };
            return Ok(());
        }
        let before = self.part.byte_count();
        let flushed = self.part.flush(&mut desk.tools());
        self.note_encoder_fault(desk);
        flushed?;
        Counters::add(&desk.counters.bytes_written, self.part.byte_count() - before);
        if self.part.has_rest() {
            return self.begin_remake(reason, keep, desk);
        }
        self.close(reason, keep, desk)
    }

    pub(super) fn note_encoder_fault(&mut self, desk: &mut Desk) {
        let Some(EncoderFault(detail)) = self.part.take_encoder_fault() else { return };
        self.encoder_fault_at = Some(self.sample_count);
        self.journal.encoder_fault(self.sample_count, &detail);
        let (recorder, detail) = (self.recorder, format!("recorded as raw samples: {detail}"));
        desk.events.send(Event::RecorderTrouble { recorder, detail });
    }

    fn begin_remake(
        &mut self,
        reason: FinishReason,
        keep: u64,
        desk: &mut Desk,
    ) -> Result<(), PartFault> {
        let encoder =
            Encoder::new(Format::Mp3, self.shape, &desk.mp3).map_err(PartFault::Encoder)?;
        let remake = Box::new(self.part.remake(encoder, desk.disk.as_ref())?);
        self.phase = Phase::Remaking { remake, reason, keep };
        Ok(())
    }

    /// A slice of the second encoding.
    fn remake_on(&mut self, desk: &mut Desk) -> Result<(), PartFault> {
        let Phase::Remaking { remake, .. } = &mut self.phase else { return Ok(()) };
        if !self.part.remake_on(remake, &mut desk.tools())? {
            return Ok(());
        }
        let done = std::mem::replace(&mut self.phase, Phase::Running);
        let Phase::Remaking { mut remake, reason, keep } = done else { return Ok(()) };
        if keep < self.sample_count {
            remake.cut(keep, &mut desk.bytes)?;
            self.note_cut(keep);
        }
        remake.finish(self.sample_count)?;
        self.part.adopt(*remake, desk.disk.as_ref())?;
        self.phase = Phase::Hashing { hash: FileHash::default(), reason };
        Ok(())
    }

    fn note_cut(&mut self, keep: u64) {
        self.journal.trimmed(keep, self.sample_count - keep);
        self.sample_count = keep;
    }

    /// All samples are in the file.
    fn close(&mut self, reason: FinishReason, keep: u64, desk: &mut Desk) -> Result<(), PartFault> {
        if keep < self.sample_count {
            self.part.cut(keep, &mut desk.bytes)?;
            self.note_cut(keep);
        }
        self.part.finish(self.sample_count)?;
        self.phase = Phase::Hashing { hash: FileHash::default(), reason };
        Ok(())
    }

    pub(super) fn go_on(&mut self, desk: &mut Desk) -> Result<Visit, PartFault> {
        match &mut self.phase {
            Phase::Running => Ok(Visit::Waiting),
            Phase::Remaking { .. } => self.remake_on(desk).map(|()| Visit::More),
            Phase::Unwanted { .. } => Ok(Visit::Unwanted),
            Phase::Sealed { .. } => Ok(Visit::Sealed),
            Phase::Hashing { hash, reason } => {
                let reason = *reason;
                let Some(sha256) = self.part.hash_on(hash, &mut desk.bytes)? else {
                    return Ok(Visit::More);
                };
                self.seal(reason, sha256)?;
                Ok(Visit::Sealed)
            }
        }
    }

    fn seal(&mut self, reason: FinishReason, sha256: String) -> Result<(), PartFault> {
        self.health.finish();
        self.note_oddities();
        let totals = Totals {
            sample_count: self.sample_count,
            byte_count: self.part.byte_count(),
            sha256: &sha256,
            missing_ms: &self.missing_ms(),
        };
        self.journal.finished(reason, &totals);
        match self.part.append_journal(self.journal.lines()) {
            // A full disk: the audio is what counts, and `repair` tells the same from it.
            Err(fault) if self.has_failed => log::warn!("{fault}"),
            result => result?,
        }
        self.phase = Phase::Sealed { reason, sha256 };
        Ok(())
    }

    /// Something is wrong with the disk, the encoder or us: what is in the file stays, with the right
    /// head, and the recording is over.
    pub fn fail(&mut self, fault: Option<&PartFault>, desk: &mut Desk) -> Visit {
        let detail =
            fault.map_or_else(|| "a fault inside the recorder".into(), ToString::to_string);
        self.trouble(&detail, desk);
        let reason = FinishReason::WriterFailed;
        if std::mem::replace(&mut self.has_failed, true) || self.part.is_lost() {
            self.give_up();
            return Visit::Sealed;
        }
        if let Some(raw_end) = self.part.raw_end() {
            return self.fail_raw(raw_end, desk);
        }
        match self.part.salvage(&mut desk.bytes) {
            Ok(sample_count) => {
                self.sample_count = sample_count;
                self.phase = Phase::Hashing { hash: FileHash::default(), reason };
                Visit::More
            }
            Err(fault) => self.fail(Some(&fault), desk),
        }
    }

    /// As [`Recording::fail`], of raw samples: what there is of them is encoded once more. When that
    /// fails, by the encoder or for lack of room, `repair` tries it again.
    fn fail_raw(&mut self, raw_end: u64, desk: &mut Desk) -> Visit {
        if matches!(self.phase, Phase::Running) {
            self.sample_count = raw_end;
            match self.begin_remake(FinishReason::WriterFailed, raw_end, desk) {
                Ok(()) => return Visit::More,
                Err(fault) => self.trouble(&fault.to_string(), desk),
            }
        }
        self.give_up();
        Visit::Sealed
    }

    /// Even the salvage failed, or the file is gone: what there is stays as it is, without a hash, for
    /// `repair` to look at.
    pub fn give_up(&mut self) {
        self.has_failed = true;
        self.phase = Phase::Sealed { reason: FinishReason::WriterFailed, sha256: String::new() };
    }

    pub(super) fn trouble(&mut self, detail: &str, desk: &mut Desk) {
        self.journal.trouble(self.timeline.position(), detail);
        let (recorder, detail) = (self.recorder, detail.to_owned());
        desk.events.send(Event::RecorderTrouble { recorder, detail });
    }
}
