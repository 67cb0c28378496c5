// Python pickles, read as data. The machine knows the instructions of protocols 0 to 5 and a fixed
// list of harmless names (tensors, arrays, containers, argparse.Namespace …); it never imports or
// calls anything. Whatever any other class or function would have made is a PickleUnknown, of which
// nothing but the name is kept; names that serve to run programs or code are refused. Values are
// nodes that refer to each other, as in Python: shared ones are stored once, and cycles are
// possible, so whoever walks them bounds the depth. Time and memory are in proportion to the bytes
// read.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/io/dtype.h"

namespace sgmae {

struct PickleValue;

struct PickleBigInteger {  // beyond 64 bits
  std::string bytes;       // two's complement, little-endian
};
struct PickleBytes {  // bytes, bytearray, and the str of Python 2
  std::string data;
};
struct PickleSequence {
  enum class Kind { list, tuple, set } kind;
  std::vector<const PickleValue*> items;
};
struct PickleDict {
  std::vector<std::pair<const PickleValue*, const PickleValue*>> items;  // as written

  // The value under a text (or Python 2 str) key, the last where it was set twice; nullptr if none.
  const PickleValue* find(std::string_view key) const;
};
struct PickleStorage {  // bytes outside of the pickle that tensors are views of
  DType type;
  std::int64_t elements;
  const std::string* key;  // names them in the file
};
struct PickleTensor {
  const PickleStorage* storage;
  DType type;                 // the storage's, but where that is bytes
  std::int64_t offset;        // of the first element in the storage; not checked against its size
  const PickleValue* size;    // tuple of whole numbers: pickle_integers()
  const PickleValue* stride;  // as many
};
struct PickleArray {         // numpy.ndarray, or a scalar of an unusual type with shape ()
  std::string type;          // numpy's descriptor: "<f4", "|u1"
  bool column_major;         // Fortran order
  const PickleValue* shape;  // tuple of whole numbers: pickle_integers()
  const PickleBytes* bytes;  // as many as shape and type say
};
struct PickleName {  // a name that stands for itself: torch.float32
  std::string_view name;
};
struct PickleObject {  // argparse.Namespace, torch.device, pathlib.PosixPath, complex …
  std::string_view name;
  const PickleValue* arguments;  // tuple it was made from
  const PickleValue* state;      // its attributes, usually a dict, or none
};

struct PickleUnknown {  // a class or function not known here, and whatever is made by or of it
  std::string name;     // "mmengine.logging.history_buffer.HistoryBuffer", shortened
};

struct PickleValue {
  std::variant<std::monostate, bool, std::int64_t, PickleBigInteger, double, std::string,
               PickleBytes, PickleSequence, PickleDict, PickleStorage, PickleTensor, PickleArray,
               PickleName, PickleObject, PickleUnknown>
      value;

  template <class T>
  const T* as() const {  // nullptr where it is something else
    return std::get_if<T>(&value);
  }
  bool is_none() const { return value.index() == 0; }
};

// The elements of a tuple of whole numbers, such as a tensor's size.
std::vector<std::int64_t> pickle_integers(const PickleValue& sequence);

struct Pickle {
  Pickle() = default;
  Pickle(Pickle&&) = default;  // nodes keep their places; a copy's would refer to the original's
  Pickle& operator=(Pickle&&) = default;

  std::deque<PickleValue> values;  // owns all nodes
  const PickleValue* root = nullptr;
  std::size_t bytes_read = 0;  // a file may hold several pickles in a row
};

// Reads one pickle from the start of `bytes`. Throws Error with `code`; `where` begins its message.
Pickle read_pickle(std::span<const std::uint8_t> bytes, const std::string& where,
                   ExitCode code = ExitCode::checkpoint);

// Writes a pickle of protocol 2 that torch.load(weights_only=True) accepts. Between begin_dict and
// end_dict stand keys and values in turn.
class PickleWriter {
 public:
  void none() { out_ += 'N'; }
  void boolean(bool value) { out_ += value ? '\x88' : '\x89'; }
  void integer(std::int64_t value);
  void real(double value);
  void text(std::string_view value);
  void begin_dict() { out_ += "}("; }
  void end_dict() { out_ += 'u'; }
  void begin_list() { out_ += "]("; }
  void end_list() { out_ += 'e'; }
  // A contiguous tensor of this shape, alone in the storage named `key`.
  void tensor(DType type, std::string_view key, std::span<const std::int64_t> shape);

  std::string finish() && { return std::move(out_ += '.'); }

 private:
  void begin_tuple() { out_ += '('; }
  void end_tuple() { out_ += 't'; }
  void name(std::string_view module, std::string_view name);

  std::string out_ = "\x80\x02";
};

}  // namespace sgmae
