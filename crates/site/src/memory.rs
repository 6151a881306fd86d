//! Small files, kept in memory by their content: what did not change between two releases is kept once.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use bytes::Bytes;
use parking_lot::Mutex;

/// Files up to this size are kept, bytes: most pages, scripts and pictures of the web are smaller, an answer of that size
/// is one write, and a client that takes nothing of it holds no more than one that is sent a larger file in parts.
pub const MAX_FILE: u64 = 128 * 1024;
/// All that is kept, bytes: the files that are asked for of some sites fit, and a server with 1 GiB does not feel it. The
/// system's own file cache holds the rest.
pub const MAX_KEPT: usize = 32 * 1024 * 1024;

/// Contents by their SHA-256, at most `limit` bytes in all; what was not asked for since its last turn goes first.
#[derive(Debug)]
pub struct Memory {
    kept: Mutex<Kept>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_digest: HashMap<[u8; 32], Content, BuildHasherDefault<OfDigest>>,
    turns: VecDeque<[u8; 32]>,
    bytes: usize,
}

#[derive(Debug)]
struct Content {
    bytes: Bytes,
    asked: bool,
}

/// A digest is as good as any hash of it.
#[derive(Debug, Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 ^= u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

impl Memory {
    /// Nothing yet, and never more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { kept: Mutex::default(), limit }
    }

    /// The content with this digest, if it is kept.
    #[must_use]
    pub fn get(&self, digest: &[u8; 32]) -> Option<Bytes> {
        let mut kept = self.kept.lock();
        let content = kept.by_digest.get_mut(digest)?;
        content.asked = true;
        Some(content.bytes.clone())
    }

    /// Keeps a content, unless it is larger than everything may be; others make room.
    pub fn keep(&self, digest: [u8; 32], bytes: Bytes) {
        if bytes.len() > self.limit {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.by_digest.contains_key(&digest) {
            return;
        }
        kept.make_room(self.limit - bytes.len());
        kept.bytes += bytes.len();
        kept.turns.push_back(digest);
        kept.by_digest.insert(digest, Content { bytes, asked: false });
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }
}

impl Kept {
    fn make_room(&mut self, limit: usize) {
        while self.bytes > limit {
            let Some(digest) = self.turns.pop_front() else { return };
            match self.by_digest.get_mut(&digest) {
                Some(content) if content.asked => {
                    content.asked = false;
                    self.turns.push_back(digest);
                }
                Some(_) | None => self.bytes -= self.by_digest.remove(&digest).map_or(0, |gone| gone.bytes.len()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_below_its_limit_and_keeps_what_is_asked_for() {
        let memory = Memory::new(100);
        let digest = |n: u8| [n; 32];
        for n in 0..10 {
            memory.keep(digest(n), Bytes::from(vec![n; 10]));
        }
        assert_eq!(memory.bytes(), 100);
        assert!(memory.get(&digest(0)).is_some());
        memory.keep(digest(10), Bytes::from(vec![10; 15]));
        assert_eq!(memory.bytes(), 95);
        assert!(
            memory.get(&digest(0)).is_some() && memory.get(&digest(1)).is_none() && memory.get(&digest(2)).is_none()
        );
        memory.keep(digest(10), Bytes::new());
        assert_eq!(memory.get(&digest(10)).map(|bytes| bytes.len()), Some(15));
        memory.keep(digest(11), Bytes::from(vec![0; 101]));
        assert!(memory.get(&digest(11)).is_none());
        assert_eq!(memory.bytes(), 95);
    }
}
