//! A disk in memory that remembers every write, length, name and sync, and can say what a power loss
//! at any moment may have left of it.
//!
//! A page cache keeps whole sectors and writes them back in any order, and lengths apart from data. So
//! after a loss each sector holds some version of it not older than the last sync that covered it, each
//! length likewise: data may be missing inside the length (zeros), or be cut off by it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapeline_core::record::disk::{Spool, SpoolFile};

use super::Random;

/// What the recorder did, in order. Files are numbered as they were created.
#[derive(Clone, Debug)]
pub enum Act {
    Create {
        file: usize,
        path: PathBuf,
    },
    Write {
        file: usize,
        bytes: Vec<u8>,
        offset: u64,
    },
    Length {
        file: usize,
        length: u64,
    },
    /// Durable by itself, as a journalling file system's are after a sync of the folder.
    Rename {
        file: usize,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    /// What was done before the act `begun` is durable: of one file, or of all.
    Sync {
        file: Option<usize>,
        begun: usize,
    },
    /// Not the disk's: the test's own note of what had happened by then.
    Note(u64),
}

#[derive(Default)]
struct State {
    acts: Vec<Act>,
    files: Vec<Vec<u8>>,
    names: BTreeMap<PathBuf, usize>,
}

pub struct TracedDisk {
    state: Arc<Mutex<State>>,
    /// How long a sync takes.
    flush: Duration,
}

struct TracedFile {
    number: usize,
    state: Arc<Mutex<State>>,
    flush: Duration,
}

impl TracedDisk {
    pub fn new(flush: Duration) -> Arc<Self> {
        Arc::new(Self { state: Arc::default(), flush })
    }

    pub fn note(&self, what: u64) {
        self.state.lock().unwrap().acts.push(Act::Note(what));
    }

    pub fn acts(&self) -> Vec<Act> {
        self.state.lock().unwrap().acts.clone()
    }
}

impl Spool for TracedDisk {
    fn make_folder(&self, _folder: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn SpoolFile>> {
        let mut state = self.state.lock().unwrap();
        let number = state.files.len();
        state.files.push(Vec::new());
        state.names.insert(path.to_path_buf(), number);
        state.acts.push(Act::Create { file: number, path: path.to_path_buf() });
        Ok(Box::new(TracedFile { number, state: self.state.clone(), flush: self.flush }))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.acts.push(Act::Remove { path: path.to_path_buf() });
        Ok(())
    }

    fn remove_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), file);
        state.acts.push(Act::Rename { file, to: to.to_path_buf() });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        sync(&self.state, None, self.flush);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

fn sync(state: &Mutex<State>, file: Option<usize>, flush: Duration) {
    let begun = state.lock().unwrap().acts.len();
    std::thread::sleep(flush);
    state.lock().unwrap().acts.push(Act::Sync { file, begun });
}

impl SpoolFile for TracedFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        put(&mut state.files[self.number], bytes, offset);
        let file = self.number;
        state.acts.push(Act::Write { file, bytes: bytes.to_vec(), offset });
        Ok(bytes.len())
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state.lock().unwrap();
        let content = state.files[self.number].get(offset as usize..).unwrap_or_default();
        let count = content.len().min(bytes.len());
        bytes[..count].copy_from_slice(&content[..count]);
        Ok(count)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.files[self.number].resize(length as usize, 0);
        state.acts.push(Act::Length { file: self.number, length });
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        sync(&self.state, Some(self.number), self.flush);
        Ok(())
    }

    fn is_linked(&mut self) -> io::Result<bool> {
        Ok(self.state.lock().unwrap().names.values().any(|number| *number == self.number))
    }
}

fn put(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    let end = offset as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset as usize..end].copy_from_slice(bytes);
}

/// How a crash treats what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Luck {
    /// All of it is there, or none.
    All,
    None,
    /// Each sector and each length at random.
    Torn {
        sector: usize,
    },
    /// The newest length over the oldest data, and the other way round.
    LongFile,
    ShortFile,
}

/// The files after a power loss right behind the first `count` acts.
pub fn after_loss(
    acts: &[Act],
    count: usize,
    luck: Luck,
    random: &mut Random,
) -> Vec<(PathBuf, Vec<u8>)> {
    let acts = &acts[..count];
    let mut names: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for act in acts {
        match act {
            Act::Create { file, path } => {
                names.insert(path.clone(), *file);
            }
            Act::Rename { file, to } => {
                names.retain(|_, other| other != file);
                names.insert(to.clone(), *file);
            }
            Act::Remove { path } => {
                names.remove(path);
            }
            _ => {}
        }
    }
    let kept = names.into_iter().map(|(path, file)| (path, content(acts, file, luck, random)));
    kept.filter_map(|(path, content)| Some((path, content?))).collect()
}

/// `None`: not even the name was durable.
fn content(acts: &[Act], file: usize, luck: Luck, random: &mut Random) -> Option<Vec<u8>> {
    let synced = acts.iter().filter_map(|act| match act {
        Act::Sync { file: of, begun } if of.is_none_or(|of| of == file) => Some(*begun),
        _ => None,
    });
    let synced = synced.max().unwrap_or(0);
    let created =
        acts.iter().position(|it| matches!(it, Act::Create { file: it, .. } if *it == file))?;
    let all = acts.len();
    let any = |random: &mut Random| match random.below(3) {
        0 => synced,
        1 => all,
        _ => synced + random.below((all - synced + 1) as u64) as usize,
    };
    let (sector, length_at) = match luck {
        Luck::All => (usize::MAX, all),
        Luck::None => (usize::MAX, synced),
        Luck::Torn { sector } => (sector, any(random)),
        Luck::LongFile => (usize::MAX, all),
        Luck::ShortFile => (usize::MAX, synced),
    };
    if length_at <= created {
        return None;
    }
    let data_at = match luck {
        Luck::All | Luck::ShortFile => all,
        Luck::None | Luck::LongFile | Luck::Torn { .. } => synced,
    };
    let mut result = version(acts, file, data_at);
    if let Luck::Torn { .. } = luck {
        let newest = version(acts, file, all);
        let sectors = newest.len().div_ceil(sector);
        result.resize(newest.len().max(result.len()), 0);
        for number in 0..sectors {
            let at = any(random);
            if at > synced {
                let (start, end) = (number * sector, ((number + 1) * sector).min(result.len()));
                let mut then = version(acts, file, at);
                then.resize(result.len(), 0);
                result[start..end].copy_from_slice(&then[start..end]);
            }
        }
    }
    result.resize(version(acts, file, length_at).len(), 0);
    Some(result)
}

/// A file after the first `count` acts.
fn version(acts: &[Act], file: usize, count: usize) -> Vec<u8> {
    let mut content = Vec::new();
    for act in &acts[..count] {
        match act {
            Act::Write { file: it, bytes, offset } if *it == file => {
                put(&mut content, bytes, *offset);
            }
            Act::Length { file: it, length } if *it == file => content.resize(*length as usize, 0),
            _ => {}
        }
    }
    content
}
