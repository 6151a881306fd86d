//! Figures, each measured three times beside its peer in the same run; the medians are printed.

mod backend;
mod deploy;
mod idle;
mod nginx;
mod proxy;
mod sites;
mod sources;
mod webhook;
mod wrk;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::Result;
use crate::report::{Verdict, line, progress};
use crate::stand::on_stand;

/// How often every figure is measured.
const ROUNDS: usize = 3;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Processor time per request, against nginx.
    Proxy,
    /// Processor time per request for files of a site, against nginx, and the swap of 10,000 files.
    Static,
    /// Builds and stacks against the bare programs, files of 1,000 workloads, a site of 10,000 files.
    Sources,
    /// From an accepted intent to Swapped, against Docker's own create to ready.
    Deploy,
    /// Durable answers to signed deliveries.
    Webhook,
    /// Memory and processor time at rest with 10 workloads.
    Idle,
    /// Reads lines of figures (of other programs too), passes them on, and ends with `ok …` or `short …`.
    Judge,
    /// The origin that proxies are measured with.
    #[command(hide = true)]
    Backend {
        /// Where it listens.
        addr: std::net::SocketAddr,
    },
}

/// One figure.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// Which part.
    bench: &'static str,
    /// What was measured.
    metric: String,
    /// The median.
    value: f64,
    /// Of `value`, `peer_value`, and of bounds that are not ratios.
    unit: &'static str,
    /// What it was measured against.
    peer: &'static str,
    /// Its median in the same run.
    peer_value: Option<f64>,
    /// `value` / `peer_value`.
    ratio: Option<f64>,
    /// What must hold, in words.
    must: String,
    /// Whether it does; `null` where nothing must.
    must_met: Option<bool>,
    /// What is aimed at, in words.
    goal: String,
    /// Whether it was reached.
    goal_met: Option<bool>,
}

/// What a figure is held against.
pub(crate) struct Bound {
    limit: f64,
    text: String,
    of: Of,
    side: Side,
}

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Ratio,
    Value,
    Difference,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    AtMost,
    AtLeast,
}

impl Bound {
    /// The ratio to the peer must not exceed this.
    pub(crate) fn ratio_at_most(limit: f64) -> Self {
        Self { limit, text: format!("ratio <= {limit}"), of: Of::Ratio, side: Side::AtMost }
    }

    /// The value must not exceed this.
    pub(crate) fn at_most(limit: f64) -> Self {
        Self { limit, text: format!("<= {limit}"), of: Of::Value, side: Side::AtMost }
    }

    /// The value must reach this.
    pub(crate) fn at_least(limit: f64) -> Self {
        Self { limit, text: format!(">= {limit}"), of: Of::Value, side: Side::AtLeast }
    }

    /// The value must not exceed the peer's by more than this.
    pub(crate) fn above_peer(limit: f64) -> Self {
        Self { limit, text: format!("<= peer + {limit}"), of: Of::Difference, side: Side::AtMost }
    }

    fn met(&self, value: f64, peer: Option<f64>) -> Option<bool> {
        let measured = match self.of {
            Of::Value => value,
            Of::Ratio => value / peer?,
            Of::Difference => value - peer?,
        };
        Some(if self.side == Side::AtMost { measured <= self.limit } else { measured >= self.limit })
    }
}

/// What was measured, before it is judged.
pub(crate) struct Measured {
    /// Which part.
    pub bench: &'static str,
    /// What.
    pub metric: String,
    /// Of the values.
    pub unit: &'static str,
    /// One value per round.
    pub values: Vec<f64>,
    /// What it was measured against, with its values.
    pub peer: Option<(&'static str, Vec<f64>)>,
}

impl Measured {
    /// Prints the figure; a `must` that is not met goes into the verdict.
    pub(crate) fn judge(self, must: Option<Bound>, goal: Option<Bound>, verdict: &mut Verdict) {
        let value = median(&self.values);
        let peer_value = self.peer.as_ref().map(|(_, values)| median(values));
        let words = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.text.clone()).unwrap_or_default();
        let met = |bound: &Option<Bound>| bound.as_ref().and_then(|bound| bound.met(value, peer_value));
        let figure = Figure {
            bench: self.bench,
            metric: self.metric,
            value: rounded(value),
            unit: self.unit,
            peer: self.peer.as_ref().map_or("", |(name, _)| name),
            peer_value: peer_value.map(rounded),
            ratio: peer_value.map(|peer| rounded(value / peer)),
            must: words(&must),
            must_met: met(&must),
            goal: words(&goal),
            goal_met: met(&goal),
        };
        line(&figure);
        if figure.must_met == Some(false) {
            verdict
                .short(format!("{} {}: {} {}, must be {}", figure.bench, figure.metric, value, self.unit, figure.must));
        }
    }
}

/// Runs one part.
pub(crate) async fn run(command: Command) -> Result<ExitCode> {
    let (what, verdict) = match command {
        Command::Backend { addr } => return backend::serve(addr).await,
        Command::Judge => ("bench".to_owned(), judge()?),
        Command::Proxy => ("bench proxy".into(), on_stand(async |stand| proxy::measure(&stand).await).await?.0),
        Command::Static => ("bench static".into(), on_stand(async |stand| sites::measure(&stand).await).await?.0),
        Command::Sources => ("bench sources".into(), on_stand(async |stand| sources::measure(&stand).await).await?.0),
        Command::Deploy => ("bench deploy".into(), on_stand(async |stand| deploy::measure(&stand).await).await?.0),
        Command::Webhook => ("bench webhook".into(), on_stand(async |stand| webhook::measure(&stand).await).await?.0),
        Command::Idle => ("bench idle".into(), on_stand(async |stand| idle::measure(&stand).await).await?.0),
    };
    Ok(verdict.end(&what))
}

/// Passes lines of figures on; their `must_met` decides.
fn judge() -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut figures = 0;
    for text in std::io::stdin().lines() {
        let text = text?;
        let Ok(figure) = serde_json::from_str::<serde_json::Value>(&text) else {
            match text.strip_prefix("short ") {
                Some(what) => verdict.short(what),
                None if text.starts_with("ok ") => {}
                None => progress(&text),
            }
            continue;
        };
        line(&figure);
        figures += 1;
        if figure["must_met"] == false {
            verdict.short(format!(
                "{} {}: {}, must be {}",
                figure["bench"], figure["metric"], figure["value"], figure["must"]
            ));
        }
    }
    if figures == 0 {
        verdict.short("nothing was measured");
    }
    Ok(verdict)
}

/// The middle one; the mean of the two middle ones of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => f64::NAN,
        Some(upper) if sorted.len().is_multiple_of(2) => (upper + sorted[middle - 1]) / 2.0,
        Some(value) => *value,
    }
}

/// Milliseconds since then.
fn millis(since: tokio::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// To three digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_held_against_value_ratio_or_difference() {
        assert_eq!(Bound::ratio_at_most(1.35).met(26.0, Some(20.0)), Some(true));
        assert_eq!(Bound::ratio_at_most(1.35).met(28.0, Some(20.0)), Some(false));
        assert_eq!(Bound::above_peer(150.0).met(560.0, Some(421.0)), Some(true));
        assert_eq!(Bound::at_least(8000.0).met(7999.0, None), Some(false));
        assert_eq!(Bound::ratio_at_most(1.0).met(1.0, None), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
