//! A disk that fails, and what the log does then.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use cutover_events::engine::TokenAdded;
use cutover_events::{Actor, Cause, Digest, StreamId, TokenId};
use tokio::task::JoinSet;

use super::journal::{Disk, SystemDisk};
use super::{Append, AppendError, Expected, Log, Receipt, Store, verify};
use crate::clock::Clock;

const WORKS: u8 = 0;
const SYNC_FAILS: u8 = 1;
const WRITE_FAILS: u8 = 2;
const NO_ROOM: u8 = 3;

/// Fails in the way that was last chosen.
#[derive(Clone, Default)]
struct Failing(Arc<AtomicU8>);

impl Failing {
    fn choose(&self, how: u8) {
        self.0.store(how, Ordering::SeqCst);
    }
}

impl Disk for Failing {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            WRITE_FAILS => Err(io::Error::other("the disk is gone")),
            NO_ROOM => Err(io::ErrorKind::StorageFull.into()),
            _ => SystemDisk.write(file, bytes, offset),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) == SYNC_FAILS {
            return Err(io::Error::other("the disk is gone"));
        }
        SystemDisk.sync(file)
    }
}

fn append(text: &str) -> Append {
    let event = TokenAdded { token: TokenId([1; 16]), name: text.into(), hash: Digest::default() };
    let (stream, events) = (StreamId::Engine, vec![event.into()]);
    Append { stream, expected: Expected::Any, events, cause: Cause::Person, actor: Actor::Engine, key: None }
}

async fn open(dir: &std::path::Path, disk: &Failing) -> Store {
    Store::open_on(Box::new(disk.clone()), dir, Clock::system(), |_| Ok(())).await.unwrap().0
}

async fn append_to(store: Arc<Store>, text: String) -> Result<Receipt, AppendError> {
    store.append(append(&text)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_or_sync_is_final() {
    for how in [SYNC_FAILS, WRITE_FAILS] {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Failing::default());
        let store = Arc::new(open(dir.path(), &disk).await);
        store.append(append("before")).await.unwrap();
        disk.choose(how);
        let mut waiting = JoinSet::new();
        for number in 0..20 {
            waiting.spawn(append_to(store.clone(), number.to_string()));
        }
        let answers = waiting.join_all().await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(AppendError::Poisoned(_)))), "{answers:?}");
        disk.choose(WORKS);
        let later = store.append(append("after")).await;
        assert!(matches!(later, Err(AppendError::Poisoned(_))), "{later:?}");
        assert_eq!(store.head().position, 2, "nothing is told of that may not be on the disk");
        drop(store);
        let store = open(dir.path(), &disk).await;
        assert!(store.append(append("again")).await.unwrap().position >= 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_met_ahead_and_goes_on_by_itself() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Failing::default());
    drop(open(dir.path(), &disk).await);
    disk.choose(NO_ROOM);
    let store = open(dir.path(), &disk).await;
    assert_eq!(store.read_all(1, 9).await.unwrap().len(), 1, "it opens, to be read");
    for _ in 0..3 {
        let refused = store.append(append("no")).await;
        assert!(matches!(refused, Err(AppendError::NoRoom)), "{refused:?}");
    }
    disk.choose(WORKS);
    assert_eq!(store.append(append("yes")).await.unwrap().position, 2);
    drop(store);
    let journal = dir.path().join("journal");
    assert_eq!(std::fs::read_dir(journal).unwrap().count(), 2);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.head.position, report.torn), (2, 0));
}
