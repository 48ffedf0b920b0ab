//! A recording's own log, `journal.jsonl`: one JSON object a line, in the order of the timeline
//! (docs/reference/journal.md). What is written here survives what the process does not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::boundary::event::{FinishReason, TrackFile};
use crate::boundary::handle::LegHandle;
use crate::record::spec::{Format, RecordingSpec, Target};
use crate::record::tap::tracks::Voice;
use crate::record::tap::{Mark, MarkKind};
use crate::record::writer::health::Oddity;
use crate::record::writer::timeline::Gap;

pub const FILE_NAME: &str = "journal.jsonl";
/// Rises when a line changes its meaning; new kinds of lines and new fields do not raise it.
pub const VERSION: u64 = 1;
/// The label is copied into the first line; longer ones are refused at the start.
pub const LABEL_LIMIT: usize = 64 << 10;
/// Lines a second for `buffer_delay` and `concealed`, the kinds that a bad network can flood.
const STATISTIC_LINES_PER_SECOND: u32 = 20;

/// Which track of a recording a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackSeat {
    pub number: u32,
    pub voice: Voice,
    /// Where its first sample stands in the main file.
    pub offset_samples: u64,
}

impl TrackSeat {
    /// Its file, as long as nothing is known of what is in it.
    pub fn file(self, rate_hz: u32) -> TrackFile {
        TrackFile {
            number: self.number,
            leg: self.voice.leg().to_u64(),
            offset_ms: self.offset_samples.saturating_mul(1000) / u64::from(rate_hz.max(1)),
            sample_count: 0,
            byte_count: 0,
            sha256: String::new(),
            missing_ms: Vec::new(),
        }
    }

    fn to_json(self) -> Value {
        let Self { number, voice, offset_samples } = self;
        let is_heard = matches!(voice, Voice::Hears(_));
        let leg = voice.leg().to_u64();
        json!({"number": number, "leg": leg, "is_heard": is_heard, "offset": offset_samples})
    }
}

/// Makes lines; the writer puts them into the file.
pub struct Journal {
    lines: Vec<u8>,
    rate_hz: u32,
    second: u64,
    left_in_second: u32,
    omitted: u64,
}

/// What the last line says, beside the reason.
pub struct Totals<'a> {
    pub sample_count: u64,
    pub byte_count: u64,
    pub sha256: &'a str,
    pub missing_ms: &'a BTreeMap<String, u64>,
}

impl Journal {
    pub fn new(rate_hz: u32) -> Self {
        Self {
            lines: Vec::new(),
            rate_hz: rate_hz.max(1),
            second: 0,
            left_in_second: STATISTIC_LINES_PER_SECOND,
            omitted: 0,
        }
    }

    /// The lines made since the last call, ready to be appended.
    pub fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    /// The first line, before any audio.
    pub fn start(&mut self, spec: &RecordingSpec, track: Option<TrackSeat>, opened_unix_us: i64) {
        let label = serde_json::from_str(&spec.label).unwrap_or_else(|_| json!(spec.label));
        let target = match spec.target {
            Target::Room(room) => json!({"room": room.to_u64()}),
            Target::Leg(leg) => json!({"leg": leg.to_u64()}),
        };
        self.add(json!({
            "type": "start",
            "version": VERSION,
            "format": format_name(spec.format),
            "rate_hz": spec.rate_hz,
            "channels": spec.layout.channels(),
            "layout": spec.layout.as_str(),
            "left_leg": spec.left_leg.map(LegHandle::to_u64),
            "target": target,
            "limit_ms": spec.limit_ms,
            "silence_limit_ms": spec.silence.limit_ms,
            "silence_waits_for_speech": spec.silence.waits_for_speech,
            "pause_as": if spec.pause.as_silence { "silence" } else { "skip" },
            "pause_limit_ms": spec.pause.limit_ms,
            "beep": spec.beep.at_start,
            "beep_every_ms": spec.beep.every_ms,
            "beep_in_file": spec.beep.in_file,
            "trim_silence": spec.trim_silence,
            "tracks": spec.tracks,
            "track": track.map(TrackSeat::to_json),
            "opened_unix_us": opened_unix_us,
            "label": label,
        }));
    }

    pub fn gap(&mut self, at: u64, gap: Gap, samples: u64) {
        self.add(json!({"type": gap.as_str(), "at": at, "samples": samples}));
    }

    pub fn fact(&mut self, mark: Mark) {
        let at = mark.position;
        let line = match mark.kind {
            MarkKind::Armed { at: tick } => json!({
                "type": "armed",
                "at": at,
                "unix_us": tick.unix_us,
                "monotonic_ns": tick.monotonic_ns,
            }),
            MarkKind::Joined { leg, delay_ms } => json!({
                "type": "joined", "at": at, "leg": leg.to_u64(), "delay_ms": delay_ms,
            }),
            MarkKind::Left { leg } => json!({"type": "left", "at": at, "leg": leg.to_u64()}),
            MarkKind::BufferDelay { leg, delay_ms } => {
                if !self.has_room_for_statistic(at) {
                    return;
                }
                json!({"type": "buffer_delay", "at": at, "leg": leg.to_u64(), "delay_ms": delay_ms})
            }
            MarkKind::Concealed { leg, samples } => {
                if !self.has_room_for_statistic(at) {
                    return;
                }
                json!({"type": "concealed", "at": at, "leg": leg.to_u64(), "samples": samples})
            }
            MarkKind::Sound { leg, sound } => {
                json!({"type": sound.as_str(), "at": at, "leg": leg.to_u64()})
            }
            MarkKind::PauseBegan { unix_us } => {
                json!({"type": "pause_began", "at": at, "unix_us": unix_us})
            }
            MarkKind::PauseEnded { samples } => {
                let duration_ms = samples.saturating_mul(1000) / u64::from(self.rate_hz);
                json!({"type": "pause_ended", "at": at, "duration_ms": duration_ms})
            }
            MarkKind::AudioBegan { unix_us } => {
                json!({"type": "audio_began", "at": at, "unix_us": unix_us})
            }
            // Gaps, the end and a track's first line tell these.
            MarkKind::TrackBegan { .. }
            | MarkKind::Overflow { .. }
            | MarkKind::SkippedTicks { .. }
            | MarkKind::PausedTicks { .. }
            | MarkKind::Finished { .. } => return,
        };
        self.add(line);
    }

    /// Silence at the end was cut off.
    pub fn trimmed(&mut self, at: u64, samples: u64) {
        self.add(json!({"type": "trimmed", "at": at, "samples": samples}));
    }

    /// What is odd about the audio from `at` on: a reason of `RecordingFinished::notes`.
    pub fn oddity(&mut self, oddity: &Oddity) {
        self.add(json!({
            "type": oddity.reason,
            "at": oddity.at,
            "samples": oddity.samples,
            "channel": oddity.channel,
        }));
    }

    /// Facts that were not written for lack of room.
    pub fn omit(&mut self, facts: u64) {
        self.omitted += facts;
    }

    /// From the sample `at` on the audio went raw into a second file.
    pub fn encoder_fault(&mut self, at: u64, detail: &str) {
        self.add(json!({"type": "encoder_fault", "at": at, "detail": detail}));
    }

    pub fn trouble(&mut self, at: u64, detail: &str) {
        self.add(json!({"type": "trouble", "at": at, "detail": detail}));
    }

    /// The last line.
    pub fn finished(&mut self, reason: FinishReason, totals: &Totals<'_>) {
        self.end_second(totals.sample_count);
        self.add(json!({
            "type": "finished",
            "reason": reason.as_str(),
            "sample_count": totals.sample_count,
            "byte_count": totals.byte_count,
            "sha256": totals.sha256,
            "missing_ms": totals.missing_ms,
        }));
    }

    fn has_room_for_statistic(&mut self, at: u64) -> bool {
        let second = at / u64::from(self.rate_hz);
        if second != self.second {
            self.end_second(at);
            self.second = second;
            self.left_in_second = STATISTIC_LINES_PER_SECOND;
        }
        let left = self.left_in_second.checked_sub(1);
        match left {
            Some(left) => self.left_in_second = left,
            None => self.omitted += 1,
        }
        left.is_some()
    }

    fn end_second(&mut self, at: u64) {
        let lines = std::mem::take(&mut self.omitted);
        if lines > 0 {
            self.add(json!({"type": "omitted", "at": at, "lines": lines}));
        }
    }

    fn add(&mut self, line: Value) {
        self.lines.extend(line.to_string().into_bytes());
        self.lines.push(b'\n');
    }
}

pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Wav => "wav",
        Format::Mp3 => "mp3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::handle::{Handle, RoomHandle};
    use crate::record::silence::SilenceRule;
    use crate::record::spec::{BeepRule, ChannelLayout, PauseRule};
    use crate::record::tap::TickTime;

    const LEG: LegHandle = LegHandle(Handle { slot: 3, generation: 1 });

    fn lines(journal: &mut Journal) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(journal.lines())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_first_line_says_what_is_recorded() {
        let spec = RecordingSpec {
            folder: "/spool/rec_1".into(),
            format: Format::Mp3,
            target: Target::Room(RoomHandle(Handle { slot: 2, generation: 0 })),
            layout: ChannelLayout::Mix,
            left_leg: None,
            rate_hz: 8000,
            limit_ms: 0,
            silence: SilenceRule::default(),
            pause: PauseRule::default(),
            beep: BeepRule::NONE,
            trim_silence: false,
            tracks: false,
            label: r#"{"recording":"rec_1"}"#.into(),
        };
        let mut journal = Journal::new(8000);
        journal.start(&spec, None, 77);
        let track = Some(TrackSeat { number: 2, voice: Voice::Hears(LEG), offset_samples: 160 });
        journal.start(&RecordingSpec { label: "not JSON\n\"".into(), ..spec }, track, 78);

        let lines = lines(&mut journal);
        assert_eq!(lines[0]["type"], "start");
        assert_eq!(lines[0]["version"], 1);
        assert_eq!(lines[0]["label"]["recording"], "rec_1");
        assert_eq!(lines[0]["target"]["room"], 2);
        assert_eq!(lines[1]["label"], "not JSON\n\"");
        let track = json!({"number": 2, "leg": LEG.to_u64(), "is_heard": true, "offset": 160});
        assert_eq!((&lines[0]["track"], &lines[1]["track"]), (&Value::Null, &track));
    }

    #[test]
    fn statistics_are_thinned_out_and_joins_never() {
        let mut journal = Journal::new(8000);
        for at in 0..100 {
            let concealed = MarkKind::Concealed { leg: LEG, samples: 160 };
            journal.fact(Mark { position: at, kind: concealed });
            journal.fact(Mark { position: at, kind: MarkKind::Left { leg: LEG } });
        }
        let at = TickTime { unix_us: 5, monotonic_ns: 6 };
        journal.fact(Mark { position: 8000, kind: MarkKind::Armed { at } });
        let concealed = MarkKind::Concealed { leg: LEG, samples: 160 };
        journal.fact(Mark { position: 8001, kind: concealed });

        let lines = lines(&mut journal);
        let count = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
        assert_eq!((count("concealed"), count("left"), count("armed")), (21, 100, 1));
        let omitted = lines.iter().find(|line| line["type"] == "omitted").unwrap();
        assert_eq!(omitted["lines"], 80);
    }
}
