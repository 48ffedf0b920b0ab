//! Raw samples that a failed encoder left behind (`part::rest`), put behind what it had made.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::record::booth::Booth;
use crate::record::disk::{DiskSpool, Spool};
use crate::record::format::{Encoder, Shape, lame, wav};
use crate::record::part::file::GrowingFile;
use crate::record::part::remake::{AGAIN_NAMES, Remake};
use crate::record::part::rest::{Rest, position_of};
use crate::record::part::{AUDIO_NAME, BLOCKS_NAME, PartFault, Tools};
use crate::record::repair::audio::{Mended, read_head};
use crate::record::repair::wav as wav_repair;
use crate::record::spec::Format;

/// Silence that may stand between both, seconds: audio that the disk had not kept. A name that says
/// more is not believed.
const GAP_LIMIT_SECONDS: u64 = 600;

/// A file of raw samples, mended.
pub struct FoundRest {
    path: PathBuf,
    /// The sample that its first one follows.
    pub at: u64,
    pub shape: Shape,
    pub sample_count: u64,
    length: u64,
}

/// What came of a rest.
pub enum Outcome {
    /// The audio file has its samples, `gap` samples of silence before them.
    Joined { gap: u64 },
    /// The encoder failed again: the samples stay in their own file.
    Kept,
}

/// Removes what an earlier attempt left, and finds the raw samples: where they go on and their files, in
/// that order. There is one at most unless somebody put more there.
pub fn find(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    for name in [AGAIN_NAMES.0, AGAIN_NAMES.1] {
        remove(&folder.join(name))?;
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let at = entry.file_name().to_str().and_then(position_of);
        found.extend(at.map(|at| (at, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// What the head of a file of raw samples says.
pub fn shape_of(path: &Path) -> io::Result<Option<Shape>> {
    let head = read_head(&File::open(path)?)?;
    Ok(wav::parse(&head).map(|header| header.shape))
}

/// `None`, and no file any more, when nothing is in it. A head that was lost is made anew.
pub fn open(path: PathBuf, at: u64, shape: Shape) -> io::Result<Option<FoundRest>> {
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let length = file.metadata()?.len();
    if length <= wav::HEADER_BYTES {
        remove(&path)?;
        return Ok(None);
    }
    let claim = wav::parse(&read_head(&file)?).filter(|header| header.shape == shape);
    let mended = wav_repair::mend(&mut file, length, shape, claim)?;
    file.sync_data()?;
    let Mended { sample_count, byte_count: length, .. } = mended;
    Ok(Some(FoundRest { path, at, shape, sample_count, length }))
}

impl FoundRest {
    /// Encodes both anew into `audio.part`, whose present content is `first`.
    pub fn join(self, folder: &Path, first: &Mended) -> io::Result<(Outcome, Mended)> {
        let limit = first.sample_count + GAP_LIMIT_SECONDS * u64::from(self.shape.rate_hz);
        let at = self.at.clamp(first.sample_count, limit);
        let total = at + self.sample_count;
        let gap = at - first.sample_count;
        match self.encode(folder, at, total, first) {
            Ok(byte_count) => {
                remove(&self.path)?;
                let mended = Mended {
                    shape: self.shape,
                    sample_count: total,
                    byte_count,
                    has_new_head: true,
                    ..first.clone()
                };
                Ok((Outcome::Joined { gap }, mended))
            }
            Err(PartFault::File { error, .. }) => Err(error),
            Err(PartFault::Encoder(fault)) => {
                log::error!("{}: {}", self.path.display(), fault.0);
                Ok((Outcome::Kept, first.clone()))
            }
        }
    }

    fn encode(&self, folder: &Path, at: u64, total: u64, first: &Mended) -> Result<u64, PartFault> {
        let audio_path = folder.join(AUDIO_NAME);
        let opened = |path: &Path, length| match OpenOptions::new().read(true).open(path) {
            Ok(file) => Ok(GrowingFile::reopened(path.to_path_buf(), Box::new(file), length)),
            Err(error) => Err(PartFault::File { path: path.to_path_buf(), error }),
        };
        let mut audio = opened(&audio_path, first.byte_count)?;
        let mut rest = Rest::reopened(opened(&self.path, self.length)?, self.shape, at);
        let spool = DiskSpool::open(folder)
            .map_err(|error| PartFault::File { path: folder.to_path_buf(), error })?;
        let spool: &dyn Spool = spool.as_ref();
        let (mut booth, mut scratch) = (Booth::new(0), Vec::new());
        let encoder =
            Encoder::new(Format::Mp3, self.shape, &lame::maker()).map_err(PartFault::Encoder)?;
        let mut remake = Remake::begin(spool, folder, encoder)?;
        let mut tools = Tools { spool, booth: &mut booth, scratch: &mut scratch };
        while !remake.step(&mut audio, &mut rest, &mut tools)? {}
        remake.finish(total)?;
        let body = remake.take_place(spool, [audio_path, folder.join(BLOCKS_NAME)])?;
        Ok(body.byte_count())
    }

    /// Its samples are in the audio file already.
    pub fn forget(self) -> io::Result<()> {
        remove(&self.path)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
