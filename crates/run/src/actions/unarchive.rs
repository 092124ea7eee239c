//! `unarchive`: an archive of the project, unpacked on the host.

use catalog::Json;
use expressions::Error;

use super::{Action, content};
use crate::walker::prepare::Work;

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let mut args = action.arguments()?;
    let decrypt = action.flag("decrypt", true)?;
    args.shift_remove("decrypt");
    let remote = action.flag("remote_src", false)? || action.flag("copy", true).is_ok_and(|copy| !copy);
    let Some(source) = args.get("src").and_then(Json::as_str).map(str::to_owned) else {
        return action.remote("unarchive", args, None);
    };
    if remote {
        args.insert("remote_src".to_owned(), true.into());
        args.shift_remove("copy");
        return action.remote("unarchive", args, None);
    }
    let path = action.find(&source, "files")?;
    content::put(&mut args, &action.file_content(&path, decrypt)?);
    action.remote("unarchive", args, None)
}
