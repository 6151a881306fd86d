//! `schema`: how workload files are written, for editors and for people.

use cutover_domain::file::schema::{sample, schema};
use cutover_events::workload::SourceKind;

use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Schema, SourceWord};
use crate::cli::output::Output;

/// Prints the schema, or the sample of a source.
///
/// # Errors
/// The output cannot be written.
pub(super) fn print(asked: &Schema) -> Result<Exit, Failure> {
    let kind = asked.source.map(kind);
    let mut output = Output::new();
    match kind.filter(|_| asked.sample) {
        Some(kind) => output.text(sample(kind))?,
        None => {
            let text = serde_json::to_string_pretty(&schema(kind));
            let text = text.map_err(|error| Failure::new(Exit::Other, format!("the schema is wrong: {error}")))?;
            output.line(&text)?;
        }
    }
    output.flush()?;
    Ok(Exit::Ok)
}

const fn kind(word: SourceWord) -> SourceKind {
    match word {
        SourceWord::Image => SourceKind::Image,
        SourceWord::Dockerfile => SourceKind::Dockerfile,
        SourceWord::Static => SourceKind::Static,
        SourceWord::Compose => SourceKind::Compose,
    }
}
