//! What people send to be deployed: taken to the disk as it comes, judged before it counts, kept while a wish needs it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cutover_events::Digest;
use cutover_events::deployment::ReasonKind;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Execution;
use super::perform::Failed;
use crate::adapters::source::{Found, Origin, SourceError, Wanted};
use crate::store::uploads::{NotTaken, Uploads, Whole};

/// Uploads that are taken at the same time, a count: each is judged by unpacking it, which a disk does not do twice as fast.
pub(super) const AT_ONCE: usize = 4;
/// Pieces that wait for the disk, a count: few enough to hold for each upload.
const WAITING: usize = 16;
/// How long nothing may come: a line that is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// An archive as it comes; an error ends it.
pub type Arriving = BoxStream<'static, Result<Bytes, String>>;

/// Why an upload is not taken; each text is one line for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It never will be: it is too large, or not what can be deployed.
    Content(String),
    /// It broke off, or there is no room now.
    Broken(String),
}

impl Execution {
    /// Whether an upload is here already; one that is not may be sent afterwards.
    ///
    /// # Errors
    /// It is too large to be sent.
    pub fn has_upload(&self, upload: Digest, bytes: u64) -> Result<bool, Refused> {
        self.uploads.room(bytes)?;
        let found = self.uploads.find(upload, self.clock.stamp().wall_ms);
        Ok(found.map_err(NotTaken::from)?.is_some())
    }

    /// Takes an upload: afterwards it is on the disk, and is an archive that can be deployed. Says how many bytes it has.
    ///
    /// # Errors
    /// It is too large, broke off, is not what was announced, or holds what no archive may: then nothing is kept.
    pub async fn take_upload(&self, upload: Digest, arriving: Arriving) -> Result<u64, Refused> {
        let _permit = self.arrivals.acquire().await.map_err(|_| Refused::Broken("the engine ends".to_owned()))?;
        let whole = written(self.uploads.clone(), upload, arriving).await?;
        let (archive, stop) = (Origin::Archive(whole.path().to_owned()), CancellationToken::new());
        match self.source.gather(&archive, Wanted::Files, &stop).await {
            Ok(_) => {}
            Err(SourceError::Context(why)) => return Err(Refused::Content(why.to_string())),
            Err(other) => return Err(Refused::Broken(other.to_string())),
        }
        let uploads = self.uploads.clone();
        let kept = tokio::task::spawn_blocking(move || uploads.keep(&whole, upload).map(|()| whole.bytes())).await;
        let kept = kept.map_err(|error| Refused::Broken(error.to_string()))?;
        Ok(kept.map_err(NotTaken::from)?)
    }

    /// Removes uploads that nobody has asked for within `age`, but for those that a wish still needs; says how many.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn tidy_uploads(&self, age: Duration, now_ms: u64) -> std::io::Result<usize> {
        let mut needed = BTreeSet::new();
        for (_, cell) in self.commands.live().cells() {
            let state = cell.state();
            let waiting = state.waiting.iter().map(|awaited| &awaited.intent);
            let intents = state.open.iter().map(|open| &open.intent).chain(&state.queue).chain(waiting);
            needed.extend(intents.filter_map(|intent| intent.wish.upload()));
        }
        self.uploads.remove_older(age, now_ms, &needed)
    }

    /// An upload as a place that files come from.
    pub(super) fn uploaded(&self, upload: Digest) -> Result<Found, Failed> {
        let gone = |why: String| Failed::for_good(ReasonKind::BuildFailed, why);
        match self.uploads.find(upload, self.clock.stamp().wall_ms) {
            Ok(Some(_)) => Ok(Found::sent(upload, self.uploads.path(upload))),
            Ok(None) => Err(gone(format!("the upload {upload} is not kept any more: deploy it again with --from"))),
            Err(error) => Err(gone(format!("the upload {upload} cannot be read: {error}"))),
        }
    }
}

/// Writes what comes, piece by piece, where that blocks nobody.
async fn written(uploads: Uploads, upload: Digest, mut arriving: Arriving) -> Result<Whole, Refused> {
    let (sender, mut pieces) = mpsc::channel::<Bytes>(WAITING);
    let (ended, over) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::task::spawn_blocking(move || {
        let mut incoming = uploads.begin()?;
        while let Some(piece) = pieces.blocking_recv() {
            incoming.write(&piece)?;
        }
        // What broke off has no end.
        match over.blocking_recv() {
            Ok(()) => incoming.finish(upload).map(Some),
            Err(_) => Ok(None),
        }
    });
    let broken = loop {
        match timeout(SILENCE, arriving.next()).await {
            Ok(Some(Ok(piece))) => {
                // The writer says why it does not go on.
                if sender.send(piece).await.is_err() {
                    break None;
                }
            }
            Ok(Some(Err(why))) => break Some(format!("the upload broke off: {why}")),
            Ok(None) => break None,
            Err(_) => break Some(format!("nothing more of the upload came within {} s", SILENCE.as_secs())),
        }
    };
    drop(sender);
    match &broken {
        None => drop(ended.send(())),
        Some(_) => drop(ended),
    }
    let whole = writing.await.map_err(|error| Refused::Broken(error.to_string()))??;
    let silent = || "the upload broke off".to_owned();
    whole.ok_or_else(|| Refused::Broken(broken.unwrap_or_else(silent)))
}

impl From<NotTaken> for Refused {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::TooLarge { .. } => Self::Content(why.to_string()),
            NotTaken::Other { .. } | NotTaken::Io(_) => Self::Broken(why.to_string()),
        }
    }
}
