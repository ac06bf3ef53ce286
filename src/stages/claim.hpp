/// What is written down of a container before anything of it exists, by create, run and restore:
/// the record, which the stages complete as they go, and the intent, which never changes.
#pragma once

#include "stages/bundle.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// What is known of the container before it has a process. `directory` is where it will be kept.
/// Throws Error(system) where the kernel does not tell which boot this is.
Record record_of(const CreateRequest& request, const Bundle& bundle, sys::FdRef directory);

/// Enough to undo all that follows, and what later commands need of the config.
Intent intent_of(const CreateRequest& request, const Bundle& bundle, const Record& record);

}  // namespace tare::stages
