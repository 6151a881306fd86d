//! A disk that fails, and what the log does then.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use cutover_events::engine::TokenAdded;
use cutover_events::{Actor, Cause, Digest, HookId, Key, StreamId, TokenId};
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

const HOOKS: u8 = 2;
const DELIVERIES: u64 = 1_000;
/// Those that come one after the other at the end: too few for a run, so that a start must find them in the journal.
const LAST: u64 = 10;

fn keyed(number: u64) -> Append {
    let hook = HookId([number as u8 % HOOKS; 16]);
    let key = Some(Key::Delivery { hook, sender_id: number.to_string() });
    Append { stream: StreamId::Hook(hook), key, ..append(&number.to_string()) }
}

/// The position that a delivery was written at before.
async fn before(store: Arc<Store>, number: u64) -> u64 {
    match store.append(keyed(number)).await {
        Err(AppendError::Duplicate { original }) => original.commit.position,
        other => panic!("delivery {number} was taken once more: {other:?}"),
    }
}

async fn again(store: &Arc<Store>, positions: &[u64]) {
    let mut asked = JoinSet::new();
    for number in 0..DELIVERIES {
        let store = store.clone();
        asked.spawn(async move { (number, before(store, number).await) });
    }
    for (number, position) in asked.join_all().await {
        assert_eq!(position, positions[number as usize], "delivery {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_for_ever_in_memory_in_runs_after_a_start_and_after_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path(), &Failing::default()).await);
    let mut taken = JoinSet::new();
    for number in 0..DELIVERIES - LAST {
        let store = store.clone();
        taken.spawn(async move { (number, store.append(keyed(number)).await.unwrap().position) });
    }
    let mut positions = vec![0; DELIVERIES as usize];
    taken.join_all().await.into_iter().for_each(|(number, position)| positions[number as usize] = position);
    for number in DELIVERIES - LAST..DELIVERIES {
        positions[number as usize] = store.append(keyed(number)).await.unwrap().position;
    }
    again(&store, &positions).await;
    drop(store);
    for start in 0..3 {
        if start == 2 {
            std::fs::remove_dir_all(dir.path().join("log.sled")).unwrap();
        }
        let store = Arc::new(open(dir.path(), &Failing::default()).await);
        again(&store, &positions).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_from_any_version_among_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &Failing::default()).await;
    for number in 0..300 {
        store.append(keyed(number)).await.unwrap();
    }
    drop(store);
    let store = open(dir.path(), &Failing::default()).await;
    for hook in 0..HOOKS {
        let stream = StreamId::Hook(HookId([hook; 16]));
        for (from, limit) in [(0, 1_000), (1, 1), (2, 7), (77, 20), (150, 9), (151, 9)] {
            let read = store.read(stream, from, limit).await.unwrap();
            let versions: Vec<u64> = read.iter().map(|sealed| sealed.commit.version).collect();
            assert_eq!(versions, (from.max(1)..=150).take(limit).collect::<Vec<_>>());
            assert!(read.iter().all(|sealed| sealed.commit.stream == stream));
        }
    }
}
