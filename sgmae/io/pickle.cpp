#include "sgmae/io/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>

namespace sgmae {
namespace {

// What a harmless name does where Python would call it.
enum class Role {
  stands_for_itself,   // never called: torch.float32, numpy.ndarray
  dictionary,          // collections.OrderedDict
  default_dictionary,  // collections.defaultdict
  list,                // list, tuple, set of an iterable: the same items
  tuple,
  set,
  byte_string,       // bytes, bytearray
  encode,            // _codecs.encode: Python 2's way to write bytes
  opaque,            // kept with its arguments and attributes
  reconstructor,     // copyreg._reconstructor: protocols 0 and 1's way to write objects
  storage,           // torch.FloatStorage
  tensor,            // torch._utils._rebuild_tensor, …_v2
  typed_tensor,      // torch._utils._rebuild_tensor_v3: of types without a storage class
  parameter,         // torch._utils._rebuild_parameter: the tensor within
  numpy_type,        // numpy.dtype
  empty_array,       // numpy's _reconstruct; BUILD fills it
  array_from_bytes,  // numpy's _frombuffer, of protocol 5
  numpy_scalar
};

struct HarmlessName {
  std::string_view name;
  Role role;
};

constexpr HarmlessName kHarmless[] = {
    {"collections.OrderedDict", Role::dictionary},
    {"collections.Counter", Role::dictionary},
    {"collections.defaultdict", Role::default_dictionary},
    {"builtins.dict", Role::dictionary},
    {"builtins.list", Role::list},
    {"builtins.tuple", Role::tuple},
    {"builtins.set", Role::set},
    {"builtins.frozenset", Role::set},
    {"builtins.bytes", Role::byte_string},
    {"builtins.bytearray", Role::byte_string},
    {"builtins.complex", Role::opaque},
    {"builtins.object", Role::stands_for_itself},
    {"builtins.int", Role::stands_for_itself},
    {"builtins.float", Role::stands_for_itself},
    {"_codecs.encode", Role::encode},
    {"copyreg._reconstructor", Role::reconstructor},
    {"argparse.Namespace", Role::opaque},
    {"types.SimpleNamespace", Role::opaque},
    {"pathlib.PosixPath", Role::opaque},
    {"pathlib.WindowsPath", Role::opaque},
    {"pathlib.PurePosixPath", Role::opaque},
    {"pathlib._local.PosixPath", Role::opaque},
    {"torch.Size", Role::tuple},
    {"torch.device", Role::opaque},
    {"torch.float64", Role::stands_for_itself},
    {"torch.float32", Role::stands_for_itself},
    {"torch.float16", Role::stands_for_itself},
    {"torch.bfloat16", Role::stands_for_itself},
    {"torch.int64", Role::stands_for_itself},
    {"torch.int32", Role::stands_for_itself},
    {"torch.int16", Role::stands_for_itself},
    {"torch.int8", Role::stands_for_itself},
    {"torch.uint8", Role::stands_for_itself},
    {"torch.bool", Role::stands_for_itself},
    {"torch.uint64", Role::stands_for_itself},
    {"torch.uint32", Role::stands_for_itself},
    {"torch.uint16", Role::stands_for_itself},
    {"torch.float8_e4m3fn", Role::stands_for_itself},
    {"torch.float8_e5m2", Role::stands_for_itself},
    {"torch.float8_e4m3fnuz", Role::stands_for_itself},
    {"torch.float8_e5m2fnuz", Role::stands_for_itself},
    {"torch.float8_e8m0fnu", Role::stands_for_itself},
    {"torch.complex64", Role::stands_for_itself},
    {"torch.DoubleStorage", Role::storage},
    {"torch.FloatStorage", Role::storage},
    {"torch.HalfStorage", Role::storage},
    {"torch.BFloat16Storage", Role::storage},
    {"torch.LongStorage", Role::storage},
    {"torch.IntStorage", Role::storage},
    {"torch.ShortStorage", Role::storage},
    {"torch.CharStorage", Role::storage},
    {"torch.ByteStorage", Role::storage},
    {"torch.BoolStorage", Role::storage},
    {"torch.ComplexFloatStorage", Role::storage},
    {"torch.UntypedStorage", Role::storage},
    {"torch.storage.UntypedStorage", Role::storage},
    {"torch._utils._rebuild_tensor", Role::tensor},
    {"torch._utils._rebuild_tensor_v2", Role::tensor},
    {"torch._utils._rebuild_tensor_v3", Role::typed_tensor},
    {"torch._utils._rebuild_parameter", Role::parameter},
    {"torch._utils._rebuild_parameter_with_state", Role::parameter},
    {"numpy.ndarray", Role::stands_for_itself},
    {"numpy.dtype", Role::numpy_type},
    {"numpy._core.multiarray._reconstruct", Role::empty_array},
    {"numpy._core.multiarray.scalar", Role::numpy_scalar},
    {"numpy._core.numeric._frombuffer", Role::array_from_bytes},
};

// Nothing here would run them either, but no honest file has them, and its owner should know.
constexpr std::string_view kRunners[] = {"builtins.eval",
                                         "builtins.exec",
                                         "builtins.execfile",
                                         "builtins.compile",
                                         "builtins.__import__",
                                         "builtins.open",
                                         "builtins.input",
                                         "builtins.breakpoint",
                                         "os.",
                                         "posix.",
                                         "nt.",
                                         "subprocess.",
                                         "commands.",
                                         "pty.",
                                         "runpy.",
                                         "importlib.",
                                         "shutil.",
                                         "socket.",
                                         "webbrowser.",
                                         "ctypes."};

constexpr std::pair<std::string_view, std::string_view> kOldModules[] = {
    {"__builtin__", "builtins"},
    {"copy_reg", "copyreg"},
    {"numpy.core.multiarray", "numpy._core.multiarray"},
    {"numpy.core.numeric", "numpy._core.numeric"},
};

std::string_view present_module(std::string_view module) {
  for (const auto& [old_name, new_name] : kOldModules)
    if (module == old_name) return new_name;
  return module;
}

const HarmlessName* find_harmless(std::string_view module, std::string_view name) {
  for (const HarmlessName& entry : kHarmless)
    if (entry.name.size() == module.size() + 1 + name.size() && entry.name.starts_with(module) &&
        entry.name[module.size()] == '.' && entry.name.ends_with(name))
      return &entry;
  return nullptr;
}

// A pickle may have a million values, or more where it is longer than this for each.
constexpr std::size_t kFreeValues = 1'000'000, kBytesPerValue = 16;
constexpr std::size_t kFreeNameBytes = 1 << 16;

// A foreign word in a message: printable and short.
std::string shown(std::string_view word) {
  std::string out;
  for (const char c : word.substr(0, 80)) out += c >= ' ' && c <= '~' ? c : '?';
  return word.size() > 80 ? out + "…" : out;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr int kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[following] | (code >> (6 * following)));
  for (int i = following - 1; i >= 0; --i)
    out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
}

// Bytes of one element under numpy's descriptor, 0 where unknown. U counts characters of 4 bytes.
std::uint64_t numpy_element_bytes(std::string_view type) {
  if (type.size() < 3 || std::string_view("biufcSUVmM").find(type[1]) == std::string_view::npos)
    return 0;
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(type.data() + 2, type.data() + type.size(), count);
  if (error != std::errc() || end != type.data() + type.size()) return 0;
  return type[1] == 'U' ? std::uint64_t{4} * count : count;
}

template <class T>
T little_or_big(const std::string& bytes, bool big) {
  std::array<char, sizeof(T)> raw;
  std::copy_n(bytes.begin(), sizeof(T), raw.begin());
  if (big) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

class Machine {
 public:
  Machine(std::span<const std::uint8_t> bytes, const std::string& where, ExitCode code)
      : bytes_(bytes), where_(where), code_(code) {}

  Pickle run() {
    while (step()) {
    }
    pickle_.root = pop();
    pickle_.bytes_read = position_;
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(code_, where_, " cannot be read as a Python pickle: ", why, " (byte ", position_, ")");
  }
  void need(bool condition, const char* why) const {
    if (!condition) refuse(why);
  }

  // --- input

  std::span<const std::uint8_t> take(std::uint64_t count) {
    need(count <= bytes_.size() - position_, "it ends too early");
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string string(std::uint64_t count) {
    const auto taken = take(count);
    return {taken.begin(), taken.end()};
  }
  std::string_view line() {
    const auto rest = bytes_.subspan(position_);
    const auto end = std::find(rest.begin(), rest.end(), '\n');
    need(end != rest.end(), "it ends too early");
    const auto length = static_cast<std::size_t>(end - rest.begin());
    position_ += length + 1;
    return {reinterpret_cast<const char*>(rest.data()), length};
  }
  template <class T>
  T line_number() {
    std::string_view text = line();
    if (text.ends_with('L')) text.remove_suffix(1);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    need(error == std::errc() && end == text.data() + text.size(), "a number is malformed");
    return value;
  }

  // --- values

  // Nodes are larger than the instructions that make them; what is large in real files is bytes.
  void need_room() const {
    need(pickle_.values.size() + shared_ < std::max(kFreeValues, bytes_.size() / kBytesPerValue),
         "it has far more values than its size suggests");
  }
  template <class T>
  PickleValue* make(T&& value) {
    need_room();
    pickle_.values.emplace_back(PickleValue{std::forward<T>(value)});
    return &pickle_.values.back();
  }
  PickleValue* none() { return none_ ? none_ : none_ = make(std::monostate{}); }
  PickleValue* boolean(bool value) {
    PickleValue*& node = value ? true_ : false_;
    return node ? node : node = make(value);
  }
  PickleValue* sequence(PickleSequence::Kind kind, std::vector<const PickleValue*> items) {
    return make(PickleSequence{kind, std::move(items)});
  }
  PickleValue* tuple(std::vector<const PickleValue*> items) {
    return sequence(PickleSequence::Kind::tuple, std::move(items));
  }

  // Copies of what is stored already are counted: each item and byte of the file may be copied
  // once, so that no pickle unfolds into more than it holds.
  void count_copied(std::size_t items) {
    copied_ += items;
    need(copied_ <= bytes_.size(), "it unpacks to far more than its size");
  }

  // --- stack

  void push(PickleValue* value) { stack_.push_back(value); }
  PickleValue* pop() {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    need(stack_.size() > floor, "its stack runs empty");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue* top() {
    PickleValue* value = pop();
    push(value);
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    need(!marks_.empty(), "a mark is missing");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void memorise(std::uint64_t index) {
    memo_[index] = top();
    need(memo_.size() <= pickle_.values.size() + shared_, "it remembers more values than it has");
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    need(found != memo_.end(), "it refers to a value that is not there");
    push(found->second);
  }
  template <class T>
  T& in(PickleValue* value, const char* why) {
    T* content = std::get_if<T>(&value->value);
    need(content != nullptr, why);
    return *content;
  }

  void append_items(PickleValue* target, const std::vector<const PickleValue*>& items) {
    if (target->as<PickleUnknown>()) return;
    auto& sequence = in<PickleSequence>(target, "it appends to something that is not a list");
    need(sequence.kind != PickleSequence::Kind::tuple, "it appends to a tuple");
    sequence.items.insert(sequence.items.end(), items.begin(), items.end());
  }
  void set_items(PickleValue* target, const std::vector<const PickleValue*>& items) {
    if (target->as<PickleUnknown>()) return;
    auto& dict = in<PickleDict>(target, "it sets keys of something that is not a dictionary");
    need(items.size() % 2 == 0, "a key has no value");
    for (std::size_t i = 0; i < items.size(); i += 2)
      dict.items.emplace_back(items[i], items[i + 1]);
  }

  // --- names

  PickleValue* name(std::string_view module, std::string_view name) {
    module = present_module(module);
    if (const HarmlessName* found = find_harmless(module, name))
      return make(PickleName{found->name});
    std::string full_name = shown(module) + "." + shown(name);
    for (const std::string_view runner : kRunners)
      check(runner.ends_with('.') ? !full_name.starts_with(runner) : full_name != runner, code_,
            where_, " asks to run ", full_name,
            ", which no checkpoint needs: refused, and nothing was run. Do not open it in Python");
    PickleValue*& node = unknown_[full_name];
    if (node) return again(node);
    unknown_bytes_ += full_name.size();  // pieces of a name may be used in many
    need(unknown_bytes_ <= kFreeNameBytes + bytes_.size(),
         "it refers to far more values than it stores");
    return node = make(PickleUnknown{std::move(full_name)});
  }

  // One more value that is this node; counted as if it were made.
  PickleValue* again(PickleValue* node) {
    ++shared_;
    need_room();
    return node;
  }

  // The same node as mutable; nullptr where it is of a known kind.
  PickleValue* unknown(const PickleValue* value) {
    const auto* found = value->as<PickleUnknown>();
    return found ? unknown_.at(found->name) : nullptr;
  }

  Role role_of(const PickleValue* callable) const {
    const auto* name = callable->as<PickleName>();
    need(name != nullptr, "it calls something that is not a name");
    return std::find_if(std::begin(kHarmless), std::end(kHarmless),
                        [&](const HarmlessName& entry) { return entry.name == name->name; })
        ->role;
  }

  // A tuple, since a list might yet be changed, of at most as many sizes as torch and numpy allow.
  bool is_shape(const PickleValue* value) const {
    const auto* sequence = value->as<PickleSequence>();
    return sequence && sequence->kind == PickleSequence::Kind::tuple &&
           sequence->items.size() <= 64 &&
           std::all_of(sequence->items.begin(), sequence->items.end(), [](const PickleValue* item) {
             const auto* n = item->as<std::int64_t>();
             return n && *n >= 0;
           });
  }

  // What Python would make by calling `callable` with `arguments`.
  PickleValue* call(PickleValue* callable, PickleValue* arguments) {
    if (callable->as<PickleUnknown>()) return again(callable);
    const Role role = role_of(callable);
    const std::string_view name = callable->as<PickleName>()->name;
    const auto* passed = arguments->as<PickleSequence>();
    need(passed && passed->kind == PickleSequence::Kind::tuple,
         "a call's arguments are not a tuple");
    const auto& given = passed->items;
    const auto need_given = [&](bool fits) {
      if (!fits) refuse("unusual arguments for " + std::string(name));
    };
    const auto items_of = [&](const PickleValue* value) {
      const auto* from = value->as<PickleSequence>();
      need_given(from != nullptr);
      count_copied(from->items.size() + 1);
      return from->items;
    };

    // What is made of something unknown is unknown, but for objects that merely hold it.
    const bool holds = role == Role::opaque || role == Role::numpy_type ||
                       role == Role::default_dictionary || role == Role::stands_for_itself;
    if (!holds && !given.empty())
      if (PickleValue* source = unknown(given[0])) return again(source);

    switch (role) {
      case Role::stands_for_itself:
      case Role::storage:
        break;  // refused below
      case Role::opaque:
        return make(PickleObject{name, arguments, none()});
      case Role::reconstructor: {  // (class, object, None)
        need_given(given.size() == 3 && given[0]->as<PickleName>() && given[2]->is_none() &&
                   role_of(given[0]) == Role::opaque);
        return make(PickleObject{given[0]->as<PickleName>()->name, tuple({}), none()});
      }
      case Role::default_dictionary:  // (factory)
        return make(PickleDict{});
      case Role::dictionary: {  // (), (dictionary) or (list of pairs)
        PickleDict dict;
        if (given.empty()) return make(std::move(dict));
        if (const auto* from = given[0]->as<PickleDict>()) {
          count_copied(from->items.size() + 1);
          return make(PickleDict{*from});
        }
        for (const PickleValue* pair : items_of(given[0])) {
          const auto* parts = pair->as<PickleSequence>();
          need_given(parts && parts->items.size() == 2);
          dict.items.emplace_back(parts->items[0], parts->items[1]);
        }
        return make(std::move(dict));
      }
      case Role::list:
      case Role::tuple:
      case Role::set: {
        need_given(given.size() <= 1);
        using Kind = PickleSequence::Kind;
        const Kind kind = role == Role::list    ? Kind::list
                          : role == Role::tuple ? Kind::tuple
                                                : Kind::set;
        return given.empty() ? sequence(kind, {}) : sequence(kind, items_of(given[0]));
      }
      case Role::byte_string: {  // (), (bytes) or (text, "latin-1")
        if (given.empty()) return make(PickleBytes{});
        if (given.size() == 2) return make(PickleBytes{latin1(given[0])});
        need_given(given[0]->as<PickleBytes>() != nullptr);
        count_copied(given[0]->as<PickleBytes>()->data.size() + 1);
        return make(PickleBytes{*given[0]->as<PickleBytes>()});
      }
      case Role::encode:  // (text, "latin1")
        need_given(!given.empty());
        return make(PickleBytes{latin1(given[0])});
      case Role::tensor:          // (storage, offset, size, stride, …)
      case Role::typed_tensor: {  // (…, requires_grad, hooks, type, …)
        need_given(given.size() >= 4 && given[0]->as<PickleStorage>() &&
                   given[1]->as<std::int64_t>() && *given[1]->as<std::int64_t>() >= 0 &&
                   is_shape(given[2]) && is_shape(given[3]) &&
                   given[2]->as<PickleSequence>()->items.size() ==
                       given[3]->as<PickleSequence>()->items.size());
        const auto* storage = given[0]->as<PickleStorage>();
        DType type = storage->type;
        if (role == Role::typed_tensor) {
          need_given(given.size() >= 7);
          if (PickleValue* other = unknown(given[6])) return again(other);
          const auto* told = given[6]->as<PickleName>();
          need_given(told && told->name.starts_with("torch."));
          const auto found = find_dtype(&DTypeInfo::torch, told->name.substr(6));
          need_given(found.has_value());
          type = *found;
        }
        if (role == Role::tensor && given.size() >= 7)  // marks of a view that is never written out
          if (const auto* marks = given[6]->as<PickleDict>())
            for (const char* mark : {"neg", "conj"}) {
              const PickleValue* const set = marks->find(mark);
              if (set && set->as<bool>() && *set->as<bool>())
                refuse(std::string("a tensor with torch's mark `") + mark +
                       "`, whose values are not those stored; save what its resolve_" + mark +
                       "() gives");
            }
        return make(PickleTensor{storage, type, *given[1]->as<std::int64_t>(), given[2], given[3]});
      }
      case Role::parameter:  // (tensor, requires_grad, hooks[, state])
        need_given(!given.empty() && given[0]->as<PickleTensor>());
        return make(PickleTensor{*given[0]->as<PickleTensor>()});
      case Role::numpy_type: {  // ("f4", False, True); BUILD adds the byte order
        need_given(!given.empty());
        return make(PickleObject{name, arguments, none()});
      }
      case Role::empty_array:
        return make(PickleArray{"|u1", false, tuple({make(std::int64_t{0})}),
                                make(PickleBytes{})->as<PickleBytes>()});
      case Role::array_from_bytes: {  // (bytes, type, shape, "C" or "F")
        need_given(given.size() == 4 && given[3]->as<std::string>());
        return array_node(given[0], given[1], given[2], *given[3]->as<std::string>() == "F");
      }
      case Role::numpy_scalar: {  // (type, bytes)
        need_given(given.size() == 2);
        PickleValue* node = array_node(given[1], given[0], tuple({}), false);
        auto* array = std::get_if<PickleArray>(&node->value);
        return array ? scalar(node, *array) : node;
      }
    }
    refuse(std::string(name) + " cannot be called");
  }

  // Text of characters below 256 as bytes.
  std::string latin1(const PickleValue* text) {
    const auto* utf8 = text->as<std::string>();
    need(utf8 != nullptr, "something to be encoded is not a string");
    count_copied(utf8->size() + 1);
    std::string out;
    for (std::size_t i = 0; i < utf8->size(); ++i) {
      const auto byte = static_cast<unsigned char>((*utf8)[i]);
      if (byte < 0x80) {
        out += static_cast<char>(byte);
      } else {
        const bool two = (byte == 0xC2 || byte == 0xC3) && i + 1 < utf8->size();
        need(two, "a string to be encoded has characters beyond one byte");
        out += static_cast<char>(((byte & 3) << 6) | ((*utf8)[++i] & 0x3F));
      }
    }
    return out;
  }

  static std::string_view text_or_bytes(const PickleValue* value) {  // "" where it is neither
    if (const auto* text = value->as<std::string>()) return *text;
    if (const auto* bytes = value->as<PickleBytes>()) return bytes->data;
    return "";
  }

  // numpy's descriptor out of numpy.dtype("f4", …) with state (3, "<", …); "" for what is neither
  // numbers nor characters, such as Python objects.
  std::string numpy_descriptor(const PickleValue* type) const {
    const auto* object = type->as<PickleObject>();
    need(object && object->name == "numpy.dtype", "an array has no type");
    const PickleValue* code = object->arguments->as<PickleSequence>()->items[0];
    if (code->as<PickleUnknown>()) return "";
    const std::string_view text = text_or_bytes(code);
    need(text.size() >= 2 && text.size() <= 12, "an array has an unusual type");
    std::string_view order = "|";
    if (const auto* state = object->state->as<PickleSequence>()) {
      need(state->items.size() >= 2, "an array has an unusual type");
      order = text_or_bytes(state->items[1]);
    }
    need(order == "<" || order == ">" || order == "|" || order == "=",
         "an array has an unusual byte order");
    const std::string descriptor = str(order == "=" ? "<" : order, text);
    return numpy_element_bytes(descriptor) > 0 ? descriptor : "";
  }

  // An array, or the unknown where its elements are neither numbers nor characters.
  PickleValue* array_node(const PickleValue* bytes, const PickleValue* type,
                          const PickleValue* shape, bool column_major) {
    std::string descriptor = numpy_descriptor(type);
    if (descriptor.empty()) return name("numpy", "ndarray of objects");
    return make(array(bytes, std::move(descriptor), shape, column_major));
  }

  PickleArray array(const PickleValue* bytes, std::string descriptor, const PickleValue* shape,
                    bool column_major) {
    const auto* content = bytes->as<PickleBytes>();
    need(content != nullptr, "an array's content is not bytes");
    need(is_shape(shape), "an array's shape has entries that are not whole numbers");
    const auto expected = tensor_bytes(numpy_element_bytes(descriptor), pickle_integers(*shape),
                                       content->data.size());
    need(expected.has_value(), "an array is larger than its bytes");
    need(*expected == content->data.size(), "an array's shape does not match its bytes");
    return {std::move(descriptor), column_major, shape, content};
  }

  // A plain number where the type is one, else the array of shape ().
  PickleValue* scalar(PickleValue* node, const PickleArray& array) {
    const std::string& raw = array.bytes->data;
    const bool big = array.type[0] == '>';
    const std::string_view type = std::string_view(array.type).substr(1);
    if (type == "f8") return make(little_or_big<double>(raw, big));
    if (type == "f4") return make(static_cast<double>(little_or_big<float>(raw, big)));
    if (type == "i8") return make(little_or_big<std::int64_t>(raw, big));
    if (type == "i4") return make(std::int64_t{little_or_big<std::int32_t>(raw, big)});
    if (type == "i2") return make(std::int64_t{little_or_big<std::int16_t>(raw, big)});
    if (type == "i1") return make(std::int64_t{little_or_big<std::int8_t>(raw, big)});
    if (type == "u4") return make(std::int64_t{little_or_big<std::uint32_t>(raw, big)});
    if (type == "u2") return make(std::int64_t{little_or_big<std::uint16_t>(raw, big)});
    if (type == "u1") return make(std::int64_t{little_or_big<std::uint8_t>(raw, big)});
    if (type == "b1") return boolean(raw[0] != 0);
    return node;
  }

  // BUILD: gives an object its attributes.
  void build(PickleValue* target, PickleValue* state) {
    if (target->as<PickleDict>() || target->as<PickleUnknown>())
      return;  // _metadata of state dicts
    if (auto* object = std::get_if<PickleObject>(&target->value)) {
      object->state = state;
      return;
    }
    need(target->as<PickleArray>() != nullptr, "it sets attributes of something that has none");
    const auto& parts = in<PickleSequence>(state, "an array's state is not a tuple").items;
    need(parts.size() == 5 && parts[3]->as<bool>(), "an array's state is unusual");
    std::string descriptor = numpy_descriptor(parts[2]);
    if (descriptor.empty())
      target->value = PickleUnknown{name("numpy", "ndarray of objects")->as<PickleUnknown>()->name};
    else
      target->value = array(parts[4], std::move(descriptor), parts[1], *parts[3]->as<bool>());
  }

  // Persistent ids are torch's way to refer to a storage:
  // ("storage", torch.FloatStorage, key, location, number of elements[, view]).
  PickleValue* storage(const PickleValue* id) {
    const auto* parts = id->as<PickleSequence>();
    // Before torch 1.6 also ("module", class, name of its source file, source).
    if (parts && parts->items.size() == 4 && text_or_bytes(parts->items[0]) == "module")
      if (PickleValue* module = unknown(parts->items[1])) return module;
    const auto fits = [&] {
      if (!parts || parts->items.size() < 5) return false;
      const auto& items = parts->items;
      const bool known = items[1]->as<PickleName>() && role_of(items[1]) == Role::storage;
      return text_or_bytes(items[0]) == "storage" && (known || items[1]->as<PickleUnknown>()) &&
             (items[2]->as<std::string>() || items[2]->as<PickleBytes>()) &&
             items[4]->as<std::int64_t>() && *items[4]->as<std::int64_t>() >= 0 &&
             (items.size() == 5 || items[5]->is_none());
    };
    need(fits(), "a persistent id is not a storage of torch");
    const auto& items = parts->items;
    if (PickleValue* other = unknown(items[1])) return again(other);  // quantised and the like
    const std::string_view type = items[1]->as<PickleName>()->name;
    const auto dtype = type.ends_with(".UntypedStorage")
                           ? DType::u8
                           : find_dtype(&DTypeInfo::storage, type.substr(type.find('.') + 1));
    const auto* key = items[2]->as<std::string>();
    return make(PickleStorage{dtype.value(), *items[4]->as<std::int64_t>(),
                              key ? key : &items[2]->as<PickleBytes>()->data});
  }

  // --- text of protocol 0

  std::uint32_t hex(std::string_view text, std::size_t at, std::size_t digits) const {
    need(at + digits <= text.size(), "an escape is cut off");
    std::uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data() + at, text.data() + at + digits, value, 16);
    need(error == std::errc() && end == text.data() + at + digits, "an escape is malformed");
    return value;
  }
  std::string unescape_unicode(std::string_view text) const {  // raw-unicode-escape
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char kind = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : ' ';
      if (kind != 'u' && kind != 'U') {
        append_utf8(out, static_cast<unsigned char>(text[i]));
        continue;
      }
      const std::size_t digits = kind == 'u' ? 4 : 8;
      const std::uint32_t code = hex(text, i + 2, digits);
      need(code <= 0x10FFFF, "a character is beyond Unicode");
      append_utf8(out, code);
      i += 1 + digits;
    }
    return out;
  }
  std::string unquote(std::string_view text) const {  // repr() of a Python 2 str
    need(text.size() >= 2 && text.front() == text.back() &&
             (text.front() == '\'' || text.front() == '"'),
         "a string is not quoted");
    text = text.substr(1, text.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      need(++i < text.size(), "an escape is cut off");
      switch (text[i]) {
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case 'r':
          out += '\r';
          break;
        case 'x':
          out += static_cast<char>(hex(text, i + 1, 2));
          i += 2;
          break;
        default:
          out += text[i];
      }
    }
    return out;
  }

  PickleValue* long_integer(std::uint64_t length) {
    std::string raw = string(length);
    if (length > 8) return make(PickleBigInteger{std::move(raw)});
    std::uint64_t value = !raw.empty() && (raw.back() & 0x80) ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, raw.data(), raw.size());
    return make(static_cast<std::int64_t>(value));
  }

  // One instruction; false after STOP.
  bool step();

  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;
  const std::string& where_;
  ExitCode code_;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  // stack heights
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
  std::unordered_map<std::string, PickleValue*> unknown_;  // by name
  std::size_t copied_ = 0, unknown_bytes_ = 0;
  std::size_t shared_ = 0;  // values that are one node with another: what is unknown, by name
  PickleValue *none_ = nullptr, *true_ = nullptr, *false_ = nullptr;
};

bool Machine::step() {
  static_assert(std::endian::native == std::endian::little);
  using Kind = PickleSequence::Kind;
  const auto op = number<std::uint8_t>();
  switch (op) {
    case 0x80:  // PROTO
      need(number<std::uint8_t>() <= 5, "its protocol is newer than 5");
      break;
    case 0x95:  // FRAME: a hint on length
      number<std::uint64_t>();
      break;
    case '.':  // STOP
      return false;

    case '(':  // MARK
      marks_.push_back(stack_.size());
      break;
    case '0':  // POP, which also takes a mark
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      break;
    case '1':  // POP_MARK
      pop_to_mark();
      break;
    case '2':  // DUP
      push(top());
      break;

    case 'N':
      push(none());
      break;
    case 0x88:
    case 0x89:
      push(boolean(op == 0x88));
      break;
    case 'I': {  // decimal text; 00 and 01 are truth values
      const std::size_t start = position_;
      const std::string_view text = line();
      if (text == "00" || text == "01") {
        push(boolean(text == "01"));
      } else {
        position_ = start;
        push(make(line_number<std::int64_t>()));
      }
      break;
    }
    case 'L':
      push(make(line_number<std::int64_t>()));
      break;
    case 'J':
      push(make(std::int64_t{number<std::int32_t>()}));
      break;
    case 'K':
      push(make(std::int64_t{number<std::uint8_t>()}));
      break;
    case 'M':
      push(make(std::int64_t{number<std::uint16_t>()}));
      break;
    case 0x8a:  // LONG1
      push(long_integer(number<std::uint8_t>()));
      break;
    case 0x8b:  // LONG4
      push(long_integer(number<std::uint32_t>()));
      break;
    case 'F':
      push(make(line_number<double>()));
      break;
    case 'G':  // BINFLOAT, big-endian
      push(make(little_or_big<double>(string(8), true)));
      break;

    case 'S':
      push(make(PickleBytes{unquote(line())}));
      break;
    case 'T':  // BINSTRING
      push(make(PickleBytes{string(number<std::uint32_t>())}));
      break;
    case 'U':  // SHORT_BINSTRING
    case 'C':  // SHORT_BINBYTES
      push(make(PickleBytes{string(number<std::uint8_t>())}));
      break;
    case 'B':  // BINBYTES
      push(make(PickleBytes{string(number<std::uint32_t>())}));
      break;
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      push(make(PickleBytes{string(number<std::uint64_t>())}));
      break;
    case 'V':
      push(make(unescape_unicode(line())));
      break;
    case 'X':  // BINUNICODE
      push(make(string(number<std::uint32_t>())));
      break;
    case 0x8c:  // SHORT_BINUNICODE
      push(make(string(number<std::uint8_t>())));
      break;
    case 0x8d:  // BINUNICODE8
      push(make(string(number<std::uint64_t>())));
      break;

    case ']':
      push(sequence(Kind::list, {}));
      break;
    case 'l':
      push(sequence(Kind::list, pop_to_mark()));
      break;
    case 'a': {  // APPEND
      const PickleValue* item = pop();
      append_items(top(), {item});
      break;
    }
    case 'e':     // APPENDS
    case 0x90: {  // ADDITEMS, to a set
      const auto items = pop_to_mark();
      append_items(top(), items);
      break;
    }
    case 0x8f:  // EMPTY_SET
      push(sequence(Kind::set, {}));
      break;
    case 0x91:  // FROZENSET
      push(sequence(Kind::set, pop_to_mark()));
      break;
    case ')':
      push(tuple({}));
      break;
    case 't':
      push(tuple(pop_to_mark()));
      break;
    case 0x85:    // TUPLE1
    case 0x86:    // TUPLE2
    case 0x87: {  // TUPLE3
      std::vector<const PickleValue*> items(op - 0x84);
      for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
      push(tuple(std::move(items)));
      break;
    }
    case '}':
      push(make(PickleDict{}));
      break;
    case 'd': {  // DICT
      const auto items = pop_to_mark();
      push(make(PickleDict{}));
      set_items(top(), items);
      break;
    }
    case 's': {  // SETITEM
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      set_items(top(), {key, value});
      break;
    }
    case 'u': {  // SETITEMS
      const auto items = pop_to_mark();
      set_items(top(), items);
      break;
    }

    case 'p':
      memorise(line_number<std::uint64_t>());
      break;
    case 'q':
      memorise(number<std::uint8_t>());
      break;
    case 'r':
      memorise(number<std::uint32_t>());
      break;
    case 0x94:  // MEMOIZE
      memorise(memo_.size());
      break;
    case 'g':
      recall(line_number<std::uint64_t>());
      break;
    case 'h':
      recall(number<std::uint8_t>());
      break;
    case 'j':
      recall(number<std::uint32_t>());
      break;

    case 'c': {  // GLOBAL
      const std::string_view module = line();
      push(name(module, line()));
      break;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue* word = pop();
      const PickleValue* module = pop();
      need(word->as<std::string>() && module->as<std::string>(), "a name is not a string");
      push(name(*module->as<std::string>(), *word->as<std::string>()));
      break;
    }
    case 'i': {  // INST: a name and the arguments since the mark
      const std::string_view module = line();
      PickleValue* callable = name(module, line());
      push(call(callable, tuple(pop_to_mark())));
      break;
    }
    case 'o': {  // OBJ: a class and its arguments since the mark
      auto items = pop_to_mark();
      need(!items.empty(), "it makes an object of no class");
      const PickleValue* callable = items.front();
      items.erase(items.begin());
      need(callable->as<PickleUnknown>() || callable->as<PickleName>(),
           "it calls something that is not a name");
      PickleValue* other = unknown(callable);
      push(other ? again(other)
                 : call(make(PickleName{*callable->as<PickleName>()}), tuple(items)));
      break;
    }
    case 0x92: {  // NEWOBJ_EX: with arguments by name too, which harmless classes never have
      const PickleValue* named = pop();
      PickleValue* arguments = pop();
      PickleValue* callable = pop();
      need(callable->as<PickleUnknown>() ||
               (named->as<PickleDict>() && named->as<PickleDict>()->items.empty()),
           "unusual arguments for an object");
      push(call(callable, arguments));
      break;
    }
    case 'R':     // REDUCE: a call
    case 0x81: {  // NEWOBJ: cls.__new__(cls, …)
      PickleValue* arguments = pop();
      PickleValue* callable = pop();
      push(call(callable, arguments));
      break;
    }
    case 'b': {  // BUILD
      PickleValue* state = pop();
      build(top(), state);
      break;
    }
    case 'Q':  // BINPERSID
      push(storage(pop()));
      break;
    default:
      refuse(str("instruction ", int{op}, " is not one that plain data needs"));
  }
  return true;
}

void append_raw(std::string& out, const void* data, std::size_t bytes) {
  out.append(static_cast<const char*>(data), bytes);
}

}  // namespace

const PickleValue* PickleDict::find(std::string_view key) const {
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    const auto* text = item->first->as<std::string>();
    const auto* bytes = item->first->as<PickleBytes>();
    if ((text && *text == key) || (bytes && bytes->data == key)) return item->second;
  }
  return nullptr;
}

std::vector<std::int64_t> pickle_integers(const PickleValue& sequence) {
  std::vector<std::int64_t> out;
  for (const PickleValue* item : std::get<PickleSequence>(sequence.value).items)
    out.push_back(std::get<std::int64_t>(item->value));
  return out;
}

Pickle read_pickle(std::span<const std::uint8_t> bytes, const std::string& where, ExitCode code) {
  return Machine(bytes, where, code).run();
}

void PickleWriter::integer(std::int64_t value) {
  if (value >= std::numeric_limits<std::int32_t>::min() &&
      value <= std::numeric_limits<std::int32_t>::max()) {
    const auto small = static_cast<std::int32_t>(value);
    out_ += 'J';
    append_raw(out_, &small, 4);
  } else {
    out_ += "\x8a\x08";
    append_raw(out_, &value, 8);
  }
}

void PickleWriter::real(double value) {
  auto raw = std::bit_cast<std::array<char, 8>>(value);
  std::reverse(raw.begin(), raw.end());
  out_ += 'G';
  append_raw(out_, raw.data(), raw.size());
}

void PickleWriter::text(std::string_view value) {
  const auto length = static_cast<std::uint32_t>(value.size());
  SGMAE_ASSERT(length == value.size());
  out_ += 'X';
  append_raw(out_, &length, 4);
  out_ += value;
}

void PickleWriter::name(std::string_view module, std::string_view name) {
  out_ += str('c', module, '\n', name, '\n');
}

void PickleWriter::tensor(DType type, std::string_view key, std::span<const std::int64_t> shape) {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  name("torch._utils", "_rebuild_tensor_v2");
  begin_tuple();
  begin_tuple();
  text("storage");
  SGMAE_ASSERT(*info(type).storage);
  name("torch", info(type).storage);
  text(key);
  text("cpu");
  integer(elements);
  end_tuple();
  out_ += 'Q';
  integer(0);  // offset
  begin_tuple();
  for (const std::int64_t size : shape) integer(size);
  end_tuple();
  begin_tuple();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::int64_t stride = 1;
    for (const std::int64_t size : shape.subspan(i + 1)) stride *= std::max<std::int64_t>(size, 1);
    integer(stride);
  }
  end_tuple();
  boolean(false);  // requires_grad
  name("collections", "OrderedDict");
  out_ += ")R";  // no hooks
  end_tuple();
  out_ += 'R';
}

}  // namespace sgmae
