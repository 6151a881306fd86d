//! The labels by which a run finds what it made.

/// The log id on every container and network of cutover.
pub(crate) const LOG: &str = "io.cutover.log";
/// The log id on every image that cutover has built.
pub(crate) const BUILT: &str = "io.cutover.image.log";
/// `project/name`, on containers of cutover.
pub(crate) const NAME: &str = "io.cutover.name";
/// The source of the sample and its environment, on images: an image that is here already is not made again.
pub(crate) const SAMPLE: &str = "io.cutover.lab.sample";
/// The run, on containers that the lab starts by itself.
pub(crate) const LAB: &str = "io.cutover.lab.run";
/// The project, on networks of cutover.
pub(crate) const PROJECT: &str = "io.cutover.project";
