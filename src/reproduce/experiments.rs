//! The table of experiments: what the course notebooks trained, with which settings, and the results they reported.

use super::{Figure, Measure};
use crate::core::{Error, ErrorKind, Result, similar};
use crate::data::Normalization;
use crate::models::{self, Network, Recipe};
use crate::nn::Scheme;
use crate::optim::Decay;
use crate::train::{Keep, RunConfig, Split};

/// One row of the table.
pub struct Experiment {
    /// The id on the command line: `M7`.
    pub id: &'static str,
    pub net: Net,
    /// Data set, batch size, epochs, optimiser and learning rates; `None`: the experiment uses the network's own
    /// recipe.
    pub recipe: Option<fn() -> Recipe>,
    /// Changes the settings that the recipe does not contain.
    pub adjust: fn(&mut RunConfig),
    /// Epochs of a second run, which starts from the first run's weights.
    pub then_epochs: Option<usize>,
    /// The numbers that are compared.
    pub figures: &'static [Figure],
    /// The seconds that the notebooks took, one number per run; empty if they do not report it.
    pub seconds: &'static [f64],
    /// What a reader of the table must know.
    pub remark: &'static str,
}

/// The network of an experiment.
pub enum Net {
    /// A network of the zoo, by name.
    Zoo(&'static str),
    /// The text of an arch file, for a network that only one experiment uses.
    Arch(&'static str),
}

impl Experiment {
    /// The network, with this experiment's recipe. A recipe that does not say how images are prepared leaves that to the
    /// network's own.
    ///
    /// # Errors
    /// None for rows of the table.
    pub fn network(&self) -> Result<Network> {
        let mut network = match self.net {
            Net::Zoo(name) => models::find(name)?,
            Net::Arch(text) => models::from_arch(text, self.id)?,
        };
        if let Some(recipe) = self.recipe {
            let (own, recipe) = (network.recipe.prepare, recipe());
            let prepare = if recipe.prepare.is_empty() { own } else { recipe.prepare };
            network.recipe = Recipe { prepare, ..recipe };
        }
        Ok(network)
    }

    /// The settings of its run, or of the first of its two runs.
    ///
    /// # Errors
    /// None for rows of the table.
    pub fn config(&self) -> Result<RunConfig> {
        let network = self.network()?;
        let mut config = RunConfig::new(&network, &network.recipe.data);
        (self.adjust)(&mut config);
        Ok(config)
    }
}

/// The row with this id, ignoring case.
///
/// # Errors
/// No such row.
pub fn find(id: &str) -> Result<&'static Experiment> {
    EXPERIMENTS.iter().find(|row| row.id.eq_ignore_ascii_case(id)).ok_or_else(|| {
        let ids: Vec<_> = EXPERIMENTS.iter().map(|row| row.id).collect();
        Error::new(ErrorKind::Missing, "reproduce", format!("there is no experiment `{id}`"))
            .expected(ids.join(", "))
            .help(match similar(id, &ids).first() {
                Some(like) => format!("did you mean {like}? For a list, see `EXPERIMENTS`"),
                None => "for a list, see `EXPERIMENTS`".to_owned(),
            })
    })
}

const fn best(published: &'static [f64]) -> Figure {
    Figure { label: "", measure: Measure::Best, published }
}

const fn last(label: &'static str, split: Split, published: &'static [f64]) -> Figure {
    Figure { label, measure: Measure::Last(split), published }
}

fn mnist(epochs: usize) -> Recipe {
    Recipe::sgd("mnist", 64, epochs, 0.01).momentum(0.5)
}

/// 16 images of each class, batch 16, 100 epochs.
fn mnist160() -> Recipe {
    Recipe::sgd("mnist", 16, 100, 0.01).momentum(0.5)
}

fn subset160(config: &mut RunConfig) {
    config.subset = Some(160);
    config.log_interval = 10;
}

fn cifar(lr: f64, momentum: f64) -> Recipe {
    Recipe::sgd("cifar10", 100, 25, lr).momentum(momentum)
}

fn cifar_adam(epochs: usize) -> Recipe {
    Recipe::adam("cifar10", 100, epochs, 0.001)
}

fn as_it_is(_: &mut RunConfig) {}

fn keep_last(config: &mut RunConfig) {
    config.keep = Keep::Last;
}

/// The notebook prints the mean loss of every 1,000 batches.
fn keep_last_log_1000(config: &mut RunConfig) {
    config.keep = Keep::Last;
    config.loss_every = 1000;
}

/// Preprocessing by scikit-learn's StandardScaler, and scikit-learn's penalty, which does not apply to biases.
fn scikit(config: &mut RunConfig) {
    config.normalize = Normalization::Pixels;
    config.decay = Decay::WeightsOnly;
    config.keep = Keep::Last;
}

/// `MLPClassifier(hidden_layer_sizes=(100,))`.
const SCIKIT_MLP: &str = r#"
name = "scikit-mlp"
input = [1, 28, 28]
loss = "cross_entropy"
layers = [
    { kind = "flatten" },
    { kind = "linear", out_features = 100 },
    { kind = "relu" },
    { kind = "linear", out_features = 10 },
]
"#;

/// The step size of scikit-learn's sag solver is `1 / (max |x|^2 / 4 + 1/4)`. It takes one step along the mean gradient
/// per sample, so 64 of its steps are one step of 64 samples. 153,796.77 is the largest squared norm of a standardised
/// MNIST image.
const SAG_STEP_OF_64: f64 = 64.0 / (0.25 * (153_796.77 + 1.0));

const NO_TIME: &[f64] = &[];

/// Every experiment.
pub static EXPERIMENTS: &[Experiment] = &[
    Experiment {
        id: "M1",
        net: Net::Zoo("softmax"),
        recipe: Some(|| Recipe {
            weight_decay: 1.0 / (50.0 * 60_000.0),
            ..Recipe::sgd("mnist", 64, 4, SAG_STEP_OF_64)
        }),
        adjust: scikit,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[89.97])],
        seconds: NO_TIME,
        remark: "SGD with the step of scikit-learn's sag solver, and the 4 passes that it needs to meet tol 0.1",
    },
    Experiment {
        id: "M2",
        net: Net::Arch(SCIKIT_MLP),
        recipe: Some(|| Recipe {
            nesterov: true,
            weight_decay: 1e-4 / 64.0,
            scheme: Scheme::Glorot,
            ..Recipe::sgd("mnist", 64, 5, 0.01).momentum(0.9)
        }),
        adjust: scikit,
        then_epochs: None,
        figures: &[last("train", Split::Train, &[98.91]), last("test", Split::Test, &[97.19])],
        seconds: NO_TIME,
        remark: "",
    },
    Experiment {
        id: "M3",
        net: Net::Zoo("mlp2"),
        recipe: Some(|| mnist(1)),
        adjust: as_it_is,
        then_epochs: Some(10),
        figures: &[
            Figure { label: "1 epoch", measure: Measure::Best, published: &[91.21] },
            Figure { label: "saved, reloaded, 10 more", measure: Measure::BestOfSecond, published: &[92.32] },
        ],
        seconds: &[81.0],
        remark: "",
    },
    Experiment {
        id: "M4",
        net: Net::Zoo("mlp"),
        recipe: Some(|| mnist(10)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[97.68])],
        seconds: &[113.0],
        remark: "",
    },
    Experiment {
        id: "M5",
        net: Net::Zoo("mlp"),
        recipe: Some(mnist160),
        adjust: subset160,
        then_epochs: None,
        figures: &[best(&[77.08])],
        seconds: &[137.0],
        remark: "160 images; another seed takes other images",
    },
    Experiment {
        id: "M6",
        net: Net::Zoo("mlp"),
        recipe: Some(|| Recipe::adam("mnist", 16, 100, 0.001)),
        adjust: subset160,
        then_epochs: None,
        figures: &[best(&[78.35])],
        seconds: &[148.0],
        remark: "160 images; another seed takes other images",
    },
    Experiment {
        id: "M7",
        net: Net::Zoo("lenet5"),
        recipe: None,
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[98.30, 98.45])],
        seconds: &[89.0, 55.0],
        remark: "",
    },
    Experiment {
        id: "M8",
        net: Net::Zoo("minivgg"),
        recipe: None,
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[98.63, 98.62])],
        seconds: &[190.0, 129.0],
        remark: "",
    },
    Experiment {
        id: "M9",
        net: Net::Zoo("lenet5"),
        recipe: Some(mnist160),
        adjust: subset160,
        then_epochs: None,
        figures: &[best(&[83.46, 84.34])],
        seconds: &[190.0, 97.0],
        remark: "160 images; another seed takes other images",
    },
    Experiment {
        id: "M10",
        net: Net::Zoo("minivgg"),
        recipe: Some(mnist160),
        adjust: subset160,
        then_epochs: None,
        figures: &[best(&[82.02, 84.01])],
        seconds: &[338.0, 279.0],
        remark: "160 images; another seed takes other images",
    },
    Experiment {
        id: "M11",
        net: Net::Zoo("lenet5-tanh"),
        recipe: None,
        adjust: keep_last_log_1000,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[98.68])],
        seconds: NO_TIME,
        remark: "",
    },
    Experiment {
        id: "C1",
        net: Net::Zoo("lenet5"),
        recipe: Some(|| cifar(0.001, 0.5)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[28.98, 23.19])],
        seconds: &[446.0, 313.0],
        remark: "",
    },
    Experiment {
        id: "C2",
        net: Net::Zoo("lenet5"),
        recipe: Some(|| cifar(0.01, 0.9)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[67.87, 67.18])],
        seconds: &[437.0, 315.0],
        remark: "",
    },
    Experiment {
        id: "C3",
        net: Net::Zoo("lenet5"),
        recipe: Some(|| cifar_adam(25)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[66.88, 65.14])],
        seconds: &[450.0, 325.0],
        remark: "",
    },
    Experiment {
        id: "C4",
        net: Net::Zoo("minivgg"),
        recipe: Some(|| cifar(0.01, 0.9)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[76.62, 75.50])],
        seconds: &[919.0, 704.0],
        remark: "",
    },
    Experiment {
        id: "C5",
        net: Net::Zoo("minivgg"),
        recipe: Some(|| cifar_adam(25)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[74.86, 74.00])],
        seconds: &[937.0, 720.0],
        remark: "",
    },
    Experiment {
        id: "C6",
        net: Net::Zoo("resnet-cifar"),
        recipe: None,
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[85.66, 85.61])],
        seconds: &[6210.0, 3489.0],
        remark: "",
    },
    Experiment {
        id: "C7",
        net: Net::Zoo("lenet5-tanh"),
        recipe: Some(|| Recipe::adam("cifar10", 10, 3, 0.001)),
        adjust: keep_last_log_1000,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[51.64])],
        seconds: NO_TIME,
        remark: "",
    },
    Experiment {
        id: "C8",
        net: Net::Zoo("mlp"),
        recipe: Some(|| cifar_adam(50)),
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[])],
        seconds: NO_TIME,
        remark: "the notebook crashed; another one reports about 51 for its own fully connected net",
    },
    Experiment {
        id: "C9",
        net: Net::Zoo("resnet9"),
        recipe: None,
        adjust: as_it_is,
        then_epochs: None,
        figures: &[best(&[94.0])],
        seconds: &[100.0],
        remark: "only linked in the notebooks (DAWNBench); its 100 s are a GPU's",
    },
    Experiment {
        id: "F1",
        net: Net::Zoo("alexnet"),
        recipe: None,
        adjust: keep_last,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[])],
        seconds: &[1320.0],
        remark: "the course book: about 88; its 22 min are a GPU's",
    },
    Experiment {
        id: "F2",
        net: Net::Zoo("vgg11-small"),
        recipe: None,
        adjust: keep_last,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[])],
        seconds: &[1380.0],
        remark: "the course book, for VGG-11: about 92; its 23 min are a GPU's",
    },
    Experiment {
        id: "F3",
        net: Net::Zoo("lenet5-bn"),
        recipe: None,
        adjust: keep_last,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[])],
        seconds: &[120.0],
        remark: "the course book: 71 to 81, noisy; its 2 min are a GPU's",
    },
    Experiment {
        id: "F4",
        net: Net::Zoo("resnet18"),
        recipe: None,
        adjust: keep_last,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[])],
        seconds: &[660.0],
        remark: "the course book: 89 to 91; its 11 min are a GPU's",
    },
    Experiment {
        id: "F5",
        net: Net::Zoo("googlenet"),
        recipe: None,
        adjust: keep_last,
        then_epochs: None,
        figures: &[last("test", Split::Test, &[])],
        seconds: NO_TIME,
        remark: "only described in the notebooks; the course book: about 89",
    },
    Experiment {
        id: "P1",
        net: Net::Zoo("unet"),
        recipe: None,
        adjust: |config| {
            keep_last(config);
            // The notebook prints the loss of each epoch's last batch.
            config.log_steps = true;
            config.workers = 2;
            config.val_batch_size = 16;
        },
        then_epochs: None,
        figures: &[
            last("Dice", Split::Test, &[]),
            Figure { label: "Dice of all pet", measure: Measure::AllObject, published: &[] },
        ],
        seconds: &[7200.0],
        remark: "the notebook's masks were not binary (loss 0.045), ours are by default: Dice x 100, a mean over pictures",
    },
];
