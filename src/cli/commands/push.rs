//! `push`: sends an image of this machine's Docker to the engine, as far as that one has not got it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cutover_domain::reference::Reference;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Session, wishes};
use crate::adapters::images::{
    AtHome, Home, HomeError, HomePlace, ImageConfig, Pieces, SavedError, SavedLayer, Sending, Wanted, image_id, read_id,
};
use crate::api::views::{ImagePushAsk, ImagePushView, LayerView, ShowView, SourceView};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::Push;
use crate::cli::values;

/// Bytes from which on a person is told before, because it takes a while.
const WORTH_TELLING: u64 = 16 << 20;
/// Between two words on a layer that is on its way.
const TELL: Duration = Duration::from_secs(5);
/// Pieces of what Docker gives that wait for their reader, a count.
const WAITING: usize = 16;
/// Layers that are found and wait to be sent, a count: each lies in the temporary folder.
const FOUND: usize = 1;
/// How often what is missing is sent, a count: the engine may lose a layer to somebody who prunes, or need all of them.
const ROUNDS: usize = 3;
/// Bytes in a kilobyte and in a megabyte, as Docker counts them.
const KILOBYTE: f64 = 1_000.0;
const MEGABYTE: f64 = 1_000_000.0;

/// What was sent.
#[derive(Clone, Copy, Default)]
struct Sent {
    layers: usize,
    /// As they went over the line.
    bytes: u64,
}

/// A push that is under way.
struct Sender<'a> {
    session: &'a Session,
    home: Home,
    image: AtHome,
    name: &'a str,
    quiet: bool,
}

pub(super) async fn push(session: &mut Session, push: Push) -> Result<Exit, Failure> {
    let name = push.image.clone();
    let reference = Reference::parse(&name).map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    if reference.digest.is_some() {
        let text = format!("{name}: an image is pushed under a tag: `docker tag {name} NAME:TAG`, then push that");
        return Err(Failure::new(Exit::Refused, text));
    }
    if push.name.is_none() && (push.wish.key.is_some() || push.wish.waiting.is_asked_for()) {
        return Err(Failure::usage(
            "--wait, --timeout, --detach and --key are about the deployment: name a workload, too",
        ));
    }
    let workload = match &push.name {
        Some(workload) => Some(takes_images(session, workload).await?),
        None => None,
    };
    let home = Home::find(&place()).await.map_err(at_home)?;
    let image = home.image(&name).await.map_err(at_home)?;
    let quiet = push.wish.json.json;
    let sender = Sender { session, home, image, name: &name, quiet };
    let (view, sent) = sender.pushed().await?;
    let layers = sender.image.layers.len();
    if let Some(workload) = workload {
        if !quiet {
            session.output.aside(&told(&name, &view, (layers, sent)));
        }
        let more = as_json(&view, (layers, sent));
        return wishes::deploy_image(session, (&workload, &name), &push.wish, more).await;
    }
    if quiet {
        session.output.json(&as_json(&view, (layers, sent)))?;
    } else {
        session.output.line(&told(&name, &view, (layers, sent)))?;
    }
    Ok(Exit::Ok)
}

/// The full name of a workload that is made of an image: before anything is sent for nothing.
async fn takes_images(session: &Session, name: &str) -> Result<String, Failure> {
    let name = values::workload(name)?;
    let show: ShowView = session.client.ask(Call::get(format!("/api/v1/workloads/{name}/spec"))).await?;
    match show.spec.source {
        SourceView::Image(_) => Ok(name),
        SourceView::Dockerfile(_) | SourceView::Static(_) | SourceView::Compose(_) => {
            let text = format!(
                "{0} does not come from an image: `cutover deploy {0} --from .` sends its files",
                show.workload
            );
            Err(Failure::new(Exit::NotAllowed, text))
        }
    }
}

/// Where the Docker of this machine is, by the environment.
fn place() -> HomePlace {
    let of = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let folder = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    HomePlace { host: of("DOCKER_HOST"), context: of("DOCKER_CONTEXT"), tls: of("DOCKER_TLS_VERIFY"), folder }
}

impl Sender<'_> {
    /// Announces the image and sends what is missing, until it is there.
    async fn pushed(&self) -> Result<(ImagePushView, Sent), Failure> {
        let (mut config, mut sent) = (None, Sent::default());
        let mut view = self.announced(None, None).await?;
        for _ in 0..ROUNDS {
            if view.image.is_some() {
                return Ok((view, sent));
            }
            if config.is_none() || !view.missing.is_empty() {
                config = Some(self.send(&view, &mut sent).await?);
            }
            view = self.announced(config.as_ref(), Some(&view)).await?;
        }
        if view.image.is_some() {
            return Ok((view, sent));
        }
        let text = "the server loses layers while others come: does something prune there? push again";
        Err(Failure::new(Exit::Other, text))
    }

    /// Says what there is; `before` is the answer to what was said before.
    async fn announced(
        &self,
        config: Option<&ImageConfig>,
        before: Option<&ImagePushView>,
    ) -> Result<ImagePushView, Failure> {
        let ask = ImagePushAsk {
            reference: self.name.to_owned(),
            platform: self.image.platform.to_string(),
            layers: self.image.layers.iter().map(|layer| image_id(*layer)).collect(),
            image: Some(self.image.id.clone()),
            config: config.map(|config| BASE64_STANDARD.encode(&config.bytes)),
            whole: before.is_some_and(|before| before.whole),
        };
        let call = Call::post("/api/v1/images", &ask)?.once(self.session.key(None)).patient();
        self.session.client.ask(call).await
    }

    /// Reads what Docker saves of the image, and sends the layers that are missing as they are found.
    async fn send(&self, view: &ImagePushView, sent: &mut Sent) -> Result<ImageConfig, Failure> {
        let missing: BTreeSet<_> = view.missing.iter().filter_map(|layer| read_id(layer)).collect();
        let count = missing.len();
        let (all, bytes) = (self.image.layers.len(), self.image.bytes);
        if count > 0 && bytes >= WORTH_TELLING {
            let size = size(bytes);
            self.tell(&format!("{count} of {all} layers are missing; reading {} ({size}) from Docker", self.name));
        }
        let sending = if self.session.client.is_local() { Sending::Plain } else { Sending::Gzip };
        let wanted = Wanted { image: self.image.digest, layers: self.image.layers.clone(), missing, sending };
        let (pieces_in, pieces) = mpsc::channel(WAITING);
        let (found_in, mut found) = mpsc::channel(FOUND);
        let reading = tokio::task::spawn_blocking(move || {
            let mut take = |layer| found_in.blocking_send(layer).is_ok();
            wanted.read(Pieces::of(pieces), &std::env::temp_dir(), &mut take)
        });
        let putting = async move {
            let mut done = Sent::default();
            while let Some(layer) = found.recv().await {
                self.put(&layer, sending, (done.layers + 1, count)).await?;
                done = Sent { layers: done.layers + 1, bytes: done.bytes + layer.length };
            }
            Ok::<_, Failure>(done)
        };
        let ((), done) = tokio::join!(self.home.save(self.name, pieces_in), putting);
        let read = reading.await.map_err(|error| Failure::new(Exit::Other, error.to_string()))?;
        let done = done?;
        *sent = Sent { layers: sent.layers + done.layers, bytes: sent.bytes + done.bytes };
        read.map_err(|why| unread(&why))
    }

    async fn put(&self, layer: &SavedLayer, sending: Sending, (nth, of): (usize, usize)) -> Result<(), Failure> {
        let (whole, counted) = (size(layer.length), Arc::new(AtomicU64::new(0)));
        if layer.length >= WORTH_TELLING {
            self.tell(&format!("sending layer {nth} of {of}, {whole}"));
        }
        let path = format!("/api/v1/images/layers/{}?bytes={}", layer.layer, layer.bytes);
        let mut call = Call::put(path, layer.file.clone(), layer.length).counted(counted.clone());
        if sending == Sending::Gzip {
            call = call.packed("gzip");
        }
        let mut asking = std::pin::pin!(self.session.client.ask::<LayerView>(call));
        loop {
            tokio::select! {
                done = &mut asking => return done.map(drop),
                () = tokio::time::sleep(TELL) => {
                    let now = size(counted.load(Ordering::Relaxed));
                    self.tell(&format!("layer {nth} of {of}: {now} of {whole}"));
                }
            }
        }
    }

    fn tell(&self, text: &str) {
        if !self.quiet {
            self.session.output.aside(text);
        }
    }
}

/// What was sent and what was there, in one line.
fn told(name: &str, view: &ImagePushView, (layers, sent): (usize, Sent)) -> String {
    let id: String = view.image.as_deref().unwrap_or_default().chars().take("sha256:".len() + 12).collect();
    let plural = |count: usize| if count == 1 { "layer" } else { "layers" };
    let there = layers.saturating_sub(sent.layers);
    if sent.layers == 0 {
        return format!("pushed {name} ({id}): nothing was sent, the server had all of it");
    }
    let kept = match there {
        0 => String::new(),
        1 => "; 1 was there".to_owned(),
        _ => format!("; {there} were there"),
    };
    format!("pushed {name} ({id}): {} {} sent, {}{kept}", sent.layers, plural(sent.layers), size(sent.bytes))
}

fn as_json(view: &ImagePushView, (layers, sent): (usize, Sent)) -> Value {
    json!({
        "reference": view.reference,
        "image": view.image,
        "layers": layers,
        "sent_layers": sent.layers,
        "sent_bytes": sent.bytes,
    })
}

/// Bytes as Docker shows them.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes < MEGABYTE { format!("{:.1} kB", bytes / KILOBYTE) } else { format!("{:.1} MB", bytes / MEGABYTE) }
}

fn at_home(why: HomeError) -> Failure {
    let exit = match &why {
        HomeError::Away(..) => Exit::Unreachable,
        HomeError::Forbidden(_) => Exit::NotAllowed,
        HomeError::Unspoken(_) => Exit::Usage,
        HomeError::NoImage(_) => Exit::UnknownName,
        HomeError::Refused(_) => Exit::Other,
    };
    Failure::new(exit, why.to_string())
}

fn unread(why: &SavedError) -> Failure {
    Failure::new(Exit::Other, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_was_sent_and_what_was_there() {
        let view = ImagePushView {
            reference: "docker.io/library/shop:1.2".into(),
            image: Some(image_id(cutover_events::Digest([0xab; 32]))),
            missing: Vec::new(),
            whole: false,
        };
        let said = |layers, sent, bytes| told("shop:1.2", &view, (layers, Sent { layers: sent, bytes }));
        assert_eq!(said(6, 1, 4_200_000), "pushed shop:1.2 (sha256:abababababab): 1 layer sent, 4.2 MB; 5 were there");
        assert_eq!(said(3, 2, 10_240), "pushed shop:1.2 (sha256:abababababab): 2 layers sent, 10.2 kB; 1 was there");
        assert_eq!(said(2, 2, 10_240), "pushed shop:1.2 (sha256:abababababab): 2 layers sent, 10.2 kB");
        assert_eq!(said(3, 0, 0), "pushed shop:1.2 (sha256:abababababab): nothing was sent, the server had all of it");
    }
}
