//! Reads and writes `config.toml`. It is written before the data are loaded, so that any run folder can be resumed or
//! repeated.

use super::{FORMAT, RunConfig};
use crate::core::{Error, Result};

/// The remark above the settings in `config.toml`.
const REMARK: &str = "# The settings of this run. Do not share this file: it may contain the path of your \
                      data, which is needed to resume the run.\n\
                      # The other files of this folder contain only names.\n\n";

impl RunConfig {
    /// The text of `config.toml`: a remark, then the settings.
    pub fn to_toml(&self) -> String {
        format!("{REMARK}{}", toml::to_string(self).expect("every field has a TOML form"))
    }

    /// Reads `config.toml`'s text. `file` is its name, for errors.
    ///
    /// # Errors
    /// Not a run's configuration, or one of another format; a setting out of range.
    pub fn from_toml(text: &str, file: &str) -> Result<RunConfig> {
        let broken = |e: toml::de::Error| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let line =
                before.map_or(String::new(), |text| format!("line {}: ", 1 + text.matches('\n').count()));
            Error::format(file, format!("is not a run's configuration: {line}{}", e.message()))
                .help("is this folder a run of `receptive train`?")
        };
        // Check the format first: errors about another version's fields would only confuse.
        let table: toml::Table = text.parse().map_err(broken)?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        if format.is_some_and(|format| format != FORMAT as i64) {
            let made_by =
                table.get("receptive").and_then(toml::Value::as_str).unwrap_or("an unknown version");
            return Err(Error::format(file, "this run was made by another version of receptive")
                .with("made by", made_by)
                .with("run format", format.unwrap_or_default())
                .expected(format!("run format {FORMAT}"))
                .help("resume it with the version that made it, or start a new run with `RunDir::create`"));
        }
        let config: RunConfig = toml::from_str(text).map_err(broken)?;
        config.check().map_err(|e| e.with("in", file))?;
        Ok(config)
    }
}
