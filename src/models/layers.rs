//! The sizes of a network's layers, for the networks that let the user choose them.
//!
//! A list is written as `784,512,10`: one size per layer. In networks of blocks, an entry can also say how many layers
//! or blocks have this size: `2x64` is two of 64 channels.

use super::{MODELS, ModelConfig};
use crate::core::{Error, Result};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// The largest size of a layer; no network has more units or channels.
const MOST_UNITS: usize = 1_000_000;
/// The largest number of layers or blocks in a list.
const MOST_LAYERS: usize = 1000;

/// The sizes of a network's layers, from the first to the last.
///
/// ```
/// use receptive::models::{LayerSizes, ModelConfig, find};
/// use receptive::nn::ModuleExt;
/// let config = ModelConfig::new([1, 28, 28], 10).with_layers([784, 32, 10]);
/// assert_eq!(config.layers, Some("784,32,10".parse::<LayerSizes>()?));
/// let model = find("mlp")?.build(&config)?;
/// assert_eq!(model.num_parameters(), 785 * 32 + 33 * 10);
/// # Ok::<(), receptive::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerSizes(pub Vec<LayerSize>);

/// One entry of a list of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerSize {
    /// How many layers or blocks have this size; `None`: the network's usual number.
    pub count: Option<usize>,
    /// Number of units or channels.
    pub size: usize,
}

impl From<usize> for LayerSize {
    fn from(size: usize) -> LayerSize {
        LayerSize { count: None, size }
    }
}

/// A count and a size.
impl From<(usize, usize)> for LayerSize {
    fn from((count, size): (usize, usize)) -> LayerSize {
        LayerSize { count: Some(count), size }
    }
}

impl<S: Into<LayerSize>, const N: usize> From<[S; N]> for LayerSizes {
    fn from(sizes: [S; N]) -> LayerSizes {
        LayerSizes(sizes.into_iter().map(Into::into).collect())
    }
}

impl FromStr for LayerSizes {
    type Err = Error;

    fn from_str(text: &str) -> Result<LayerSizes> {
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let entry = |entry: &str| match entry.split_once('x') {
            Some((count, size)) => Some(LayerSize::from((number(count)?, number(size)?))),
            None => number(entry).map(LayerSize::from),
        };
        let sizes: Option<Vec<LayerSize>> = text.split(',').map(entry).collect();
        let sizes = sizes.ok_or_else(|| {
            Error::argument("layers", format!("{text:?} is not a list of sizes"))
                .expected("whole numbers with commas between, such as 784,512,10, or counts and sizes, such as 2x16,2x32")
        })?;
        LayerSizes(sizes).checked()
    }
}

impl TryFrom<String> for LayerSizes {
    type Error = Error;

    fn try_from(text: String) -> Result<LayerSizes> {
        text.parse()
    }
}

impl From<LayerSizes> for String {
    fn from(sizes: LayerSizes) -> String {
        sizes.to_string()
    }
}

impl Display for LayerSizes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, LayerSize { count, size }) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            count.map_or(Ok(()), |count| write!(f, "{count}x"))?;
            write!(f, "{size}")?;
        }
        Ok(())
    }
}

impl LayerSizes {
    /// Refuses sizes that no network has, before any arithmetic.
    fn checked(self) -> Result<LayerSizes> {
        let refused =
            |what: String, expected: String| Err(Error::argument("layers", what).expected(expected));
        if let Some(entry) = self.0.iter().find(|entry| !(1..=MOST_UNITS).contains(&entry.size)) {
            return refused(
                format!("a layer of size {} is out of range", entry.size),
                format!("1 to {MOST_UNITS}"),
            );
        }
        let counts = self.0.iter().map(|entry| entry.count.unwrap_or(1));
        let all = counts.clone().fold(0, usize::saturating_add);
        if all > MOST_LAYERS || counts.clone().any(|count| count == 0) || self.0.is_empty() {
            return refused(
                "the number of layers is out of range".to_owned(),
                format!("1 to {MOST_LAYERS} layers"),
            );
        }
        Ok(self)
    }
}

/// Which sizes a network lets the user choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerChoice {
    /// The network's own sizes.
    pub own: &'static str,
    /// What the sizes are, for messages.
    pub what: &'static str,
}

impl LayerChoice {
    /// The sizes in `config`, or the network's own.
    fn of(&self, config: &ModelConfig) -> Result<LayerSizes> {
        match &config.layers {
            Some(given) => given.clone().checked(),
            None => self.own.parse(),
        }
    }

    /// Exactly `N` sizes.
    ///
    /// # Errors
    /// Another number of sizes; an entry with a count.
    pub(super) fn exactly<const N: usize>(&self, config: &ModelConfig) -> Result<[usize; N]> {
        let sizes = self.units(config)?;
        let given = sizes.len();
        sizes.try_into().map_err(|_| self.refused(config, format!("{given} sizes do not fit: it takes {N}")))
    }

    /// Any number of sizes.
    ///
    /// # Errors
    /// An entry with a count.
    pub(super) fn units(&self, config: &ModelConfig) -> Result<Vec<usize>> {
        let LayerSizes(sizes) = self.of(config)?;
        match sizes.iter().any(|entry| entry.count.is_some()) {
            true => Err(self.refused(config, "this network takes sizes without counts".to_owned())),
            false => Ok(sizes.iter().map(|entry| entry.size).collect()),
        }
    }

    /// Stages of blocks: the number of blocks, which is `usual` if it is not given, and their channels.
    pub(super) fn stages(&self, config: &ModelConfig, usual: usize) -> Result<Vec<[usize; 2]>> {
        let LayerSizes(sizes) = self.of(config)?;
        Ok(sizes.iter().map(|entry| [entry.count.unwrap_or(usual), entry.size]).collect())
    }

    /// An error about the sizes in `config`.
    pub(super) fn refused(&self, config: &ModelConfig, what: String) -> Error {
        let given = config.layers.as_ref().map_or(self.own.to_owned(), LayerSizes::to_string);
        Error::argument(format!("`config.layers = {given}`"), what)
            .expected(format!("{}, for example {}", self.what, self.own))
    }
}

/// The networks whose layer sizes can be chosen, each with its own sizes.
pub fn layer_choices() -> impl Iterator<Item = (&'static str, LayerChoice)> {
    MODELS.iter().filter_map(|spec| Some((spec.name, spec.layers?)))
}
