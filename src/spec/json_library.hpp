/// The library that reads JSON, and writes what is written often: RapidJSON, as all of this
/// directory includes it. Not for others: they have a Reader and a Writer.
#pragma once

#include <rapidjson/rapidjson.h>

// A broken promise ends the program at once. The library's own assert() would put the text of each
// promise into the binary.
#undef RAPIDJSON_ASSERT
#define RAPIDJSON_ASSERT(promise) ((promise) ? static_cast<void>(0) : __builtin_trap())

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <string_view>

namespace tare::spec {

/// Of a value that is a string, or of a name. Valid as long as the value.
inline std::string_view text_of(const rapidjson::Value& string) {
  return {string.GetString(), string.GetStringLength()};
}

}  // namespace tare::spec
