// SPDX-License-Identifier: MIT
// Lines of text without a C library.
#ifndef VMT_SPACE_TEXT_H
#define VMT_SPACE_TEXT_H

// Always ended by NUL; what does not fit is cut.
struct text {
	char *at, *end;
};

static void text_add(struct text *text, const char *what)
{
	while (*what && text->at < text->end - 1)
		*text->at++ = *what++;
	*text->at = 0;
}

static void text_number(struct text *text, uint64_t n, unsigned base)
{
	char digits[24];
	char *at = digits + sizeof(digits) - 1;

	*at = 0;
	do {
		*--at = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	text_add(text, at);
}

#endif
