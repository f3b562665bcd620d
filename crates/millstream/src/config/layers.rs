//! The layers of a configuration, as figment takes them: a file whose paths count from its own folder, and variables of the environment
//! that are read by what their setting holds.

use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::keys::{self, Kind, NOT_SETTINGS};

/// Every variable of the environment that begins like this is a setting; `__` stands for the dot.
pub const ENV_PREFIX: &str = "MILLSTREAM_";

/// A variable of the environment that begins like a setting.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The setting that it names, in dots.
    pub setting: String,
    value: Value,
}

impl Variable {
    /// The variable's own name.
    pub fn name(&self) -> String {
        variable_of(&self.setting)
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let all = Env::prefixed(ENV_PREFIX).ignore(NOT_SETTINGS).split("__");
        all.iter().map(|(setting, text)| Self::new(setting.as_str(), &text)).collect()
    }

    fn new(setting: &str, text: &str) -> Self {
        let parsed = || text.parse::<Value>().unwrap_or_else(|never| match never {});
        let value = match keys::kind(setting) {
            // Nothing in it means anything: a password's file may be called 007.
            Some(Kind::Text | Kind::Path) => Value::from(text),
            Some(Kind::List) if !text.trim_start().starts_with('[') => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::from(items.map(Value::from).collect::<Vec<_>>())
            }
            _ => parsed(),
        };
        Self { setting: setting.to_owned(), value }
    }
}

/// The variable that stands for `setting`.
pub fn variable_of(setting: &str) -> String {
    format!("{ENV_PREFIX}{}", setting.to_uppercase().replace('.', "__"))
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variable")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = figment::util::nest(&self.setting, self.value.clone()).into_dict();
        Ok(Profile::Default.collect(dict.unwrap_or_default()))
    }
}

/// A TOML file.
pub struct FileLayer {
    path: PathBuf,
    /// Secrets whose place a later layer names: half of one place and half of another would be none.
    overridden: Vec<String>,
}

impl FileLayer {
    /// The file at `path`, below `variables`.
    pub fn new(path: &Path, variables: &[Variable]) -> Self {
        let secret = |v: &Variable| keys::secret_of(&v.setting).map(str::to_owned);
        Self { path: path.to_owned(), overridden: variables.iter().filter_map(secret).collect() }
    }
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Toml::file_exact(&self.path).metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = Toml::file_exact(&self.path).data()?;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        for dict in data.values_mut() {
            self.overridden.iter().for_each(|secret| remove(dict, secret));
            anchor(dict, "", folder);
        }
        Ok(data)
    }
}

/// Removes the value with this dotted name.
fn remove(dict: &mut Dict, name: &str) {
    match name.split_once('.') {
        None => drop(dict.remove(name)),
        Some((section, rest)) => {
            if let Some(Value::Dict(_, inner)) = dict.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

/// Lets every relative path in `dict`, which stands at `section`, count from `folder`.
fn anchor(dict: &mut Dict, section: &str, folder: &Path) {
    for (key, value) in dict {
        let name = keys::below(section, key);
        match value {
            Value::Dict(_, inner) => anchor(inner, &name, folder),
            Value::String(_, text) if keys::kind(&name) == Some(Kind::Path) && !text.contains("://") => {
                *text = folder.join(&*text).to_string_lossy().into_owned();
            }
            _ => {}
        }
    }
}
