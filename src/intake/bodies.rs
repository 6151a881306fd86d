//! Raw bodies, kept for support and replay; decisions never read them.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use cutover_events::Digest;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Bodies that wait for the writer, a count: at 20 µs a file 20 ms of work; whoever comes later waits for room.
const QUEUE: usize = 1024;

/// Where raw bodies are kept, by their digest.
#[async_trait]
pub trait Bodies: Send + Sync + 'static {
    /// The body is in the file system (not necessarily on the disk) afterwards; keeping it twice does no harm.
    ///
    /// # Errors
    /// It could not be written.
    async fn keep(&self, digest: Digest, body: Bytes) -> io::Result<()>;
}

struct Job {
    digest: Digest,
    body: Bytes,
    done: oneshot::Sender<io::Result<()>>,
}

/// A folder with a file per body and one thread that writes them, so that no call waits on a blocked core.
pub struct BodyFolder {
    jobs: Option<Sender<Job>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl BodyFolder {
    /// Makes the folder and starts the writer, which ends with this value.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (jobs, queue) = channel(QUEUE);
        let folder = folder.to_owned();
        let writer = std::thread::Builder::new().name("bodies".into()).spawn(move || write_all(&folder, queue))?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer) })
    }
}

impl Drop for BodyFolder {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of bodies has panicked");
        }
    }
}

#[async_trait]
impl Bodies for BodyFolder {
    async fn keep(&self, digest: Digest, body: Bytes) -> io::Result<()> {
        let gone = || io::Error::other("the writer of bodies has ended");
        let (done, written) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { digest, body, done }).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

fn write_all(folder: &Path, mut queue: Receiver<Job>) {
    while let Some(job) = queue.blocking_recv() {
        // Over what is there: a file that a power cut has left short becomes whole, and its age begins anew.
        let result = std::fs::write(path(folder, job.digest), &job.body);
        // The caller may have gone away; the body is kept all the same.
        drop(job.done.send(result));
    }
}

/// Where the body of that digest lies.
#[must_use]
pub fn path(folder: &Path, digest: Digest) -> PathBuf {
    folder.join(digest.to_string())
}
