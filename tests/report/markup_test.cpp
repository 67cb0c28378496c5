// Oracles: the XML 1.0 grammar of text and attributes (well_formed.h, and closed forms below), the
// base64 test vectors of RFC 4648.
#include "sgmae/report/markup.h"

#include <cmath>

#include "sgmae/base/rng.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

TEST(Markup, EscapesWhatHtmlUnderstands) {
  EXPECT_EQ(escape("<script>alert(\"1\" & '2')</script>"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
  EXPECT_EQ(escape("Übung ± 3\n"), "Übung ± 3\n");
}

TEST(Markup, ReplacesWhatIsNotUtf8OrNotXml) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(escape("a\xFFz"), "a" + replacement + "z");
  EXPECT_EQ(escape("\xC3"), replacement);                                      // cut off
  EXPECT_EQ(escape("\xC0\xAF"), replacement + replacement);                    // an overlong slash
  EXPECT_EQ(escape("\xED\xA0\x80"), replacement + replacement + replacement);  // a surrogate
  EXPECT_EQ(escape(std::string("\0\x1B[1m", 5)), replacement + replacement + "[1m");
  EXPECT_EQ(escape("\xF0\x9F\x99\x82"), "\xF0\x9F\x99\x82");
}

TEST(Markup, AnyBytesBecomeWellFormed) {
  Rng rng(1, 0, 0, Purpose::probe);
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    for (int i = 0; i < 40; ++i) bytes += static_cast<char>(rng.below(256));
    expect_well_formed(text_element("p", bytes, {{"title", bytes}}));
  }
}

TEST(Markup, VoidElementsCloseThemselves) {
  EXPECT_EQ(element("br", {}), "<br/>");
  EXPECT_EQ(element("td", {}), "<td></td>");
  EXPECT_EQ(element("circle", {{"r", "1"}}, "<title>t</title>"),
            "<circle r=\"1\"><title>t</title></circle>");
}

TEST(Markup, Base64) {
  const auto of = [](const std::string& text) {
    return base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(of("\xFF\xEF"), "/+8=");
}

TEST(Markup, ReadableNumbers) {
  EXPECT_EQ(readable(0.64163889), "0.6416");
  EXPECT_EQ(readable(60000), "60000");
  EXPECT_EQ(readable(123456.7), "123457");
  EXPECT_EQ(readable(2e-7), "2e-07");
  EXPECT_EQ(readable(NAN), "–");
  EXPECT_EQ(readable(-INFINITY), "−∞");
}

TEST(Markup, PathsAreWrittenForLinks) {
  EXPECT_EQ(url_path("../a-b_c.d/e~1"), "../a-b_c.d/e~1");
  EXPECT_EQ(url_path("50 %#?&\"ä"), "50%20%25%23%3F%26%22%C3%A4");
}

TEST(Markup, WhatIsEmptyIsNotJoined) {
  EXPECT_EQ(joined({"", "a", "", "b"}, ", "), "a, b");
  EXPECT_EQ(joined({}, ", "), "");
}

}  // namespace
}  // namespace sgmae
