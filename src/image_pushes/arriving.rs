//! Layers on their way: to the disk as they come, unpacked and compared with their digest.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use cutover_domain::file::quantity::show_bytes;
use cutover_events::Digest;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{ImagePushes, LAYERS_TOGETHER};
use crate::adapters::images::Pieces;
use crate::execution::Refused;
use crate::store::uploads::{NotTaken, Uploads, Whole};

/// Pieces that wait for the disk, a count: few enough to hold for each layer.
const WAITING: usize = 16;
/// How much is written at once, bytes.
const CHUNK: usize = 256 << 10;
/// How long nothing may come: a line that is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a layer that nobody asks for stands in the way of others: whoever is at a push asks for it more often.
const IN_THE_WAY: Duration = Duration::from_secs(60 * 60);

/// A layer as it comes; an error ends it.
pub type Coming = BoxStream<'static, Result<Bytes, String>>;

/// How a layer is packed on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packed {
    /// Not at all.
    No,
    /// By gzip.
    Gzip,
}

impl ImagePushes {
    /// Takes a layer, which has `bytes` unpacked: afterwards it is on the disk, and is what its digest says.
    ///
    /// # Errors
    /// It is too large, there is no room, it broke off, or is another one: then nothing is kept.
    pub async fn take_layer(&self, layer: Digest, bytes: u64, coming: (Coming, Packed)) -> Result<(), Refused> {
        let _permit = self.arrivals.acquire().await.map_err(|_| Refused::Broken("the engine ends".to_owned()))?;
        self.room(bytes)?;
        let now_ms = self.clock.stamp().wall_ms;
        if self.layers.find(layer, now_ms).map_err(|error| unwritten(&error))?.is_some() {
            return Ok(());
        }
        let whole = written(self.layers.clone(), layer, coming).await.map_err(|why| self.told(why))?;
        let layers = self.layers.clone();
        let kept = tokio::task::spawn_blocking(move || layers.keep(&whole, layer)).await;
        kept.map_err(|error| Refused::Broken(error.to_string()))?.map_err(|error| unwritten(&error))
    }

    /// Whether there is room for a layer.
    fn room(&self, bytes: u64) -> Result<(), Refused> {
        self.layers.room(bytes).map_err(|why| self.told(why))?;
        let together = self.most.saturating_mul(LAYERS_TOGETHER);
        let fits = || -> io::Result<bool> { Ok(self.layers.bytes()?.saturating_add(bytes) <= together) };
        if fits().map_err(|error| unwritten(&error))? {
            return Ok(());
        }
        let left = self.layers.remove_older(IN_THE_WAY, self.clock.stamp().wall_ms, &Default::default());
        if left.and_then(|_| fits()).map_err(|error| unwritten(&error))? {
            return Ok(());
        }
        Err(Refused::Content(format!(
            "the layers that are missing here have more than {}: raise [limits] upload of the engine, of which they may have \
             {LAYERS_TOGETHER} times as much",
            show_bytes(together)
        )))
    }

    fn told(&self, why: NotTaken) -> Refused {
        match why {
            NotTaken::TooLarge { most } => Refused::Content(format!(
                "a layer has more than {}: leave out of the image what it does not need, or raise [limits] upload of the \
                 engine",
                show_bytes(most)
            )),
            NotTaken::Other { is } => {
                Refused::Broken(format!("the layer is not what was announced, but sha256:{is}; push again"))
            }
            NotTaken::Io(error) => unwritten(&error),
        }
    }
}

/// What is said of a disk that does not take a layer.
pub(super) fn unwritten(error: &io::Error) -> Refused {
    Refused::Broken(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk of the server is full: make room (`docker system df` says what Docker takes), then push again; what was \
             sent is kept"
                .to_owned()
        }
        _ => format!("the layer cannot be kept: {error}"),
    })
}

/// Writes what comes, where that blocks nobody.
async fn written(layers: Uploads, layer: Digest, (mut coming, packed): (Coming, Packed)) -> Result<Whole, NotTaken> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let pieces = Pieces::of(pieces);
        match packed {
            Packed::No => copied(&layers, layer, pieces),
            Packed::Gzip => copied(&layers, layer, MultiGzDecoder::new(pieces)),
        }
    });
    loop {
        let piece = match timeout(SILENCE, coming.next()).await {
            Ok(Some(Ok(piece))) => Ok(piece),
            Ok(Some(Err(why))) => Err(io::Error::other(format!("it broke off: {why}"))),
            Ok(None) => break,
            Err(_) => Err(io::Error::other(format!("nothing more of it came within {} s", SILENCE.as_secs()))),
        };
        let last = piece.is_err();
        // The writer says why it does not go on.
        if sender.send(piece).await.is_err() || last {
            break;
        }
    }
    drop(sender);
    writing.await.map_err(io::Error::other)?
}

fn copied(layers: &Uploads, layer: Digest, mut from: impl Read) -> Result<Whole, NotTaken> {
    let (mut incoming, mut chunk) = (layers.begin()?, vec![0; CHUNK]);
    loop {
        match from.read(&mut chunk)? {
            0 => return incoming.finish(layer),
            read => incoming.write(&chunk[..read])?,
        }
    }
}
