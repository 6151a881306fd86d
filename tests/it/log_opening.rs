//! Opening a log whose files are not as they were left.

use cutover::store::{Log, OpenError, export, verify};

use super::log_support::{append, copy_journal, filled, flip, open, segments, tear, used};

#[tokio::test]
async fn a_log_is_opened_again_as_it_was_left() {
    let (dir, before) = filled(20).await;
    for _ in 0..3 {
        let (store, report, folded) = open(dir.path()).await.unwrap();
        assert_eq!(folded, before, "every commit is given once, in order");
        assert_eq!((report.events, report.torn, report.rebuilt), (21, None, None));
        assert_eq!(store.read_all(1, 99).await.unwrap(), before);
        assert_eq!(store.head().chain, before[20].chain);
    }
    let (store, _, _) = open(dir.path()).await.unwrap();
    assert_eq!(store.append(append("next")).await.unwrap().position, 22);
    drop(store);
    assert_eq!(verify(dir.path()).unwrap().head.position, 22);
}

#[tokio::test]
async fn a_torn_group_is_cut_off_and_reported() {
    let (dir, before) = filled(5).await;
    std::fs::remove_dir_all(dir.path().join("log.sled")).unwrap();
    let last = segments(dir.path()).pop().unwrap();
    let end = used(&last);
    for kept in [1, 30, 100] {
        let copy = copy_journal(dir.path());
        let torn = segments(copy.path()).pop().unwrap();
        let start = end - group_bytes(&before[5].body);
        tear(&torn, start + kept);
        assert!(verify(copy.path()).unwrap().torn > 0, "verify tells of it and touches nothing");
        let (store, report, folded) = open(copy.path()).await.unwrap();
        assert_eq!(report.torn, Some((torn.file_name().unwrap().to_string_lossy().into_owned(), start as u64)));
        assert_eq!(folded, before[..5]);
        assert_eq!(store.append(append("instead")).await.unwrap().position, 6);
        drop(store);
        assert_eq!(verify(copy.path()).unwrap().head.position, 6);
    }
}

#[tokio::test]
async fn a_file_that_ends_within_a_group_is_torn_too() {
    let (dir, before) = filled(3).await;
    std::fs::remove_dir_all(dir.path().join("log.sled")).unwrap();
    let last = segments(dir.path()).pop().unwrap();
    let cut = used(&last) - 5;
    std::fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(cut as u64).unwrap();
    let (_, report, folded) = open(dir.path()).await.unwrap();
    assert!(report.torn.is_some());
    assert_eq!(folded, before[..3]);
}

#[tokio::test]
async fn a_tail_that_sled_holds_is_damage() {
    let (dir, before) = filled(5).await;
    let last = segments(dir.path()).pop().unwrap();
    tear(&last, used(&last) - group_bytes(&before[5].body));
    let Err(OpenError::Damaged(damage)) = open(dir.path()).await else {
        panic!("acknowledged events are gone, silently")
    };
    assert_eq!(damage.position, 6);
    assert!(damage.to_string().contains("cutover log verify"), "{damage}");
}

#[tokio::test]
async fn a_flipped_byte_is_named_wherever_it_is() {
    let (dir, before) = filled(12).await;
    let segment = segments(dir.path()).pop().unwrap();
    let end = used(&segment);
    let start = end - before.iter().skip(1).map(|sealed| group_bytes(&sealed.body)).sum::<usize>();
    let mut bytes = std::fs::read(&segment).unwrap();
    // Without the zeros behind, which are read each time.
    bytes.truncate(end);
    std::fs::write(&segment, &bytes).unwrap();
    for offset in 0..end {
        flip(&segment, offset);
        let damage = verify(dir.path()).expect_err("a flipped byte is seen");
        std::fs::write(&segment, &bytes).unwrap();
        assert_eq!(damage.segment, segment.file_name().unwrap().to_string_lossy());
        if offset >= start {
            assert_eq!(damage.position, holder(&before, offset - start), "byte {offset}");
        }
    }
    assert_eq!(verify(dir.path()).unwrap().head.chain, before[12].chain);
}

#[tokio::test]
async fn damage_is_refused_at_opening_and_nothing_is_changed() {
    let (dir, _) = filled(12).await;
    let segment = segments(dir.path()).pop().unwrap();
    flip(&segment, used(&segment) / 2);
    let bytes = std::fs::read(&segment).unwrap();
    for _ in 0..2 {
        assert!(matches!(open(dir.path()).await, Err(OpenError::Damaged(_))));
    }
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[tokio::test]
async fn a_missing_segment_is_damage() {
    let (dir, _) = filled(3).await;
    for _ in 0..3 {
        let (store, _, _) = open(dir.path()).await.unwrap();
        store.append(append("more")).await.unwrap();
        store.append(append("and more")).await.unwrap();
    }
    let all = segments(dir.path());
    std::fs::remove_file(&all[all.len() - 2]).unwrap();
    assert!(matches!(open(dir.path()).await, Err(OpenError::Damaged(_))));
    assert!(verify(dir.path()).is_err());
}

#[tokio::test]
async fn a_prefix_of_the_journal_verifies() {
    let (dir, before) = filled(10).await;
    let copy = copy_journal(dir.path());
    let last = segments(copy.path()).pop().unwrap();
    tear(&last, used(&last) - before[8..].iter().map(|sealed| group_bytes(&sealed.body)).sum::<usize>());
    let report = verify(copy.path()).unwrap();
    assert_eq!((report.head.position, report.head.chain, report.torn), (8, before[7].chain, 0));
    let (_, _, folded) = open(copy.path()).await.unwrap();
    assert_eq!(folded, before[..8]);
}

#[tokio::test]
async fn export_gives_the_raw_bytes_and_touches_nothing() {
    let (dir, before) = filled(10).await;
    let copy = copy_journal(dir.path());
    let mut given = Vec::new();
    export(copy.path(), 4, &mut |sealed| given.push(sealed)).unwrap();
    assert_eq!(given, before[3..]);
    let names: Vec<_> = std::fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["journal"], "neither a lock nor an index was made");
}

#[tokio::test]
async fn a_missing_index_is_rebuilt() {
    let (dir, before) = filled(30).await;
    std::fs::remove_dir_all(dir.path().join("log.sled")).unwrap();
    let (store, report, _) = open(dir.path()).await.unwrap();
    assert!(report.rebuilt.is_some());
    assert_eq!(store.read(super::log_support::STREAM, 1, 99).await.unwrap(), before[1..]);
    assert_eq!(store.chain_at(17).await.unwrap(), Some(before[16].chain));
}

#[tokio::test]
async fn a_damaged_index_is_set_aside_and_rebuilt() {
    for offset in [0, 100, 3_000] {
        let (dir, before) = filled(30).await;
        let db = dir.path().join("log.sled/db");
        let mut bytes = std::fs::read(&db).unwrap();
        let until = bytes.len().min(offset + 5_000);
        bytes[offset..until].fill(0xa5);
        std::fs::write(&db, bytes).unwrap();
        let (store, _, folded) = open(dir.path()).await.unwrap();
        assert_eq!(folded, before);
        assert_eq!(store.read(super::log_support::STREAM, 1, 99).await.unwrap(), before[1..], "from {offset}");
    }
}

#[tokio::test]
async fn an_index_of_another_log_is_set_aside() {
    let (dir, before) = filled(30).await;
    let (other, _) = filled(10).await;
    std::fs::remove_dir_all(dir.path().join("log.sled")).unwrap();
    std::fs::rename(other.path().join("log.sled"), dir.path().join("log.sled")).unwrap();
    let (store, report, folded) = open(dir.path()).await.unwrap();
    assert!(report.rebuilt.is_some_and(|why| why.contains("another chain value")));
    assert_eq!(folded, before);
    assert_eq!(store.read(super::log_support::STREAM, 1, 99).await.unwrap(), before[1..]);
}

#[tokio::test]
async fn a_half_written_snapshot_of_sled_is_no_reason_to_rebuild() {
    let (dir, _) = filled(5).await;
    std::fs::write(dir.path().join("log.sled/snap.0000000000000000.generating"), b"half").unwrap();
    let (_, report, _) = open(dir.path()).await.unwrap();
    assert_eq!(report.rebuilt, None);
}

#[tokio::test]
async fn a_second_engine_is_refused_by_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, _) = open(dir.path()).await.unwrap();
    let Err(OpenError::Held { pid }) = open(dir.path()).await else { panic!("two engines hold one folder") };
    assert_eq!(pid, std::process::id().to_string());
    drop(store);
    open(dir.path()).await.unwrap();
}

/// Bytes that a group of one commit takes: header, length and chain value, the commit, end mark.
fn group_bytes(body: &[u8]) -> usize {
    24 + 36 + body.len() + 4
}

/// Position of the commit whose group holds a byte, counted from the second group on.
fn holder(all: &[cutover_events::Sealed], byte: usize) -> u64 {
    let mut end = 0;
    let found = all.iter().skip(1).find(|sealed| {
        end += group_bytes(&sealed.body);
        byte < end
    });
    found.unwrap().commit.position
}
