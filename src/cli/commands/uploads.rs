//! Sends a folder or an archive of this machine to the engine, unless it has it already.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use cutover_domain::file::quantity::show_bytes;

use super::Session;
use crate::adapters::source::context::{ContextError, Sends, Sent};
use crate::api::views::{ShowView, SourceView, UploadView};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::from::From;
use crate::cli::grammar::Json;

/// Bytes from which on a person is told before, because it takes a while.
const WORTH_TELLING: u64 = 16 << 20;
/// The Dockerfile of a context where nobody names one.
const USUAL_FILE: &str = "Dockerfile";

/// Sends what a deployment of a workload is made of; afterwards the engine has it, under the name that is returned.
pub(super) async fn send(session: &mut Session, (name, from): (&str, &From), json: &Json) -> Result<String, Failure> {
    let scratch = std::env::temp_dir();
    let sent = match from {
        From::Folder(folder) => {
            let show: ShowView = session.client.ask(Call::get(format!("/api/v1/workloads/{name}/spec"))).await?;
            packed(folder, &show, &scratch)?
        }
        From::Tarball(path) => {
            let unreadable = |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
            Sent::file(Arc::new(File::open(path).map_err(unreadable)?)).map_err(|why| refused(&why))?
        }
        From::Stdin => Sent::spooled(std::io::stdin().lock(), &scratch).map_err(|why| refused(&why))?,
    };
    let (upload, path) = (sent.digest.to_string(), format!("/api/v1/uploads/{}", sent.digest));
    let ask = Call::get(format!("{path}?bytes={}", sent.length));
    let known: UploadView = session.client.ask(ask).await?;
    if known.here {
        told(session, json, "the engine has these files already: nothing is sent");
        return Ok(upload);
    }
    let size = show_bytes(sent.length);
    if sent.length >= WORTH_TELLING {
        told(session, json, &format!("sending {size}"));
    }
    let _taken: UploadView = session.client.ask(Call::put(path, sent.file, sent.length)).await?;
    told(session, json, &format!("sent {size}"));
    Ok(upload)
}

fn told(session: &Session, json: &Json, text: &str) {
    if !json.json {
        session.output.aside(text);
    }
}

/// What of a folder the source of the workload is made of.
fn packed(folder: &Path, show: &ShowView, scratch: &Path) -> Result<Sent, Failure> {
    let sends = match &show.spec.source {
        SourceView::Dockerfile(build) => {
            Sends::Context(if build.file.is_empty() { USUAL_FILE } else { build.file.as_str() })
        }
        SourceView::Static(_) => Sends::Site,
        SourceView::Compose(stack) => {
            let file = stack.file.rsplit(['/', ':']).next().filter(|file| !file.is_empty());
            Sends::Stack(file)
        }
        SourceView::Image(_) => {
            let text = format!("{} comes from an image: it is made of no files that could be sent", show.workload);
            return Err(Failure::new(Exit::NotAllowed, text));
        }
    };
    Sent::folder(folder, sends, scratch).map_err(|why| refused(&why))
}

fn refused(why: &ContextError) -> Failure {
    Failure::new(Exit::Refused, why.to_string())
}
