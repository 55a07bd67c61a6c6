// SPDX-License-Identifier: MIT
/*
 * snprintf (kernel/string.h).
 */
#include <kernel/string.h>

struct out {
	char *buf;
	size_t size, n; /* n: length of the whole text so far */
};

struct spec {
	bool left, zero;
	int width, precision; /* precision < 0: none */
	unsigned int bytes; /* of the integer */
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->buf[o->n] = c;
	o->n++;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, size_t n)
{
	size_t pad = s->width > 0 && (size_t)s->width > n ? (size_t)s->width - n : 0;

	for (; pad && !s->left; pad--)
		put(o, ' ');
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	for (; pad; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned int base, bool negative,
		       bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[72];
	int at = sizeof(text), least = s->precision;

	if (least < 0)
		least = s->zero && !s->left ? s->width - negative : 1;
	least = MIN(least, 68);
	for (; v; v /= base, least--)
		text[--at] = digits[v % base];
	for (; least > 0; least--)
		text[--at] = '0';
	if (negative)
		text[--at] = '-';
	put_padded(o, s, text + at, sizeof(text) - (size_t)at);
}

static int64_t take_signed(va_list *ap, unsigned int bytes)
{
	if (bytes == 8)
		return va_arg(*ap, int64_t);
	if (bytes == 2)
		return (int16_t)va_arg(*ap, int);
	return bytes == 1 ? (int8_t)va_arg(*ap, int) : va_arg(*ap, int);
}

static uint64_t take_unsigned(va_list *ap, unsigned int bytes)
{
	if (bytes == 8)
		return va_arg(*ap, uint64_t);
	if (bytes == 2)
		return (uint16_t)va_arg(*ap, unsigned int);
	return bytes == 1 ? (uint8_t)va_arg(*ap, unsigned int) : va_arg(*ap, unsigned int);
}

static int parse_int(const char **f, va_list *ap)
{
	int v = 0;

	if (**f == '*') {
		++*f;
		return va_arg(*ap, int);
	}
	for (; **f >= '0' && **f <= '9'; ++*f)
		v = v * 10 + (**f - '0');
	return v;
}

static const char *parse_spec(struct spec *s, const char *f, va_list *ap)
{
	*s = (struct spec){ .precision = -1, .bytes = 4 };
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else
			break;
	}
	s->width = parse_int(&f, ap);
	if (s->width < 0) {
		s->left = true;
		s->width = -s->width;
	}
	if (*f == '.') {
		f++;
		s->precision = parse_int(&f, ap);
	}
	for (;; f++) {
		if (*f == 'l' || *f == 'z')
			s->bytes = 8;
		else if (*f == 'h')
			s->bytes /= 2;
		else
			return f;
	}
}

static void put_spec(struct out *o, const struct spec *s, char c, va_list *ap)
{
	const char *text;
	int64_t v;
	char ch;

	switch (c) {
	case 'd':
	case 'i':
		v = take_signed(ap, s->bytes);
		put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, false);
		break;
	case 'u':
		put_number(o, s, take_unsigned(ap, s->bytes), 10, false, false);
		break;
	case 'o':
		put_number(o, s, take_unsigned(ap, s->bytes), 8, false, false);
		break;
	case 'x':
	case 'X':
		put_number(o, s, take_unsigned(ap, s->bytes), 16, false, c == 'X');
		break;
	case 'p':
		put(o, '0');
		put(o, 'x');
		put_number(o, s, (uint64_t)va_arg(*ap, void *), 16, false, false);
		break;
	case 'c':
		ch = (char)va_arg(*ap, int);
		put_padded(o, s, &ch, 1);
		break;
	case 's':
		text = va_arg(*ap, const char *);
		if (!text)
			text = "(null)";
		put_padded(o, s, text, s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision));
		break;
	default:
		put(o, c);
		break;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };
	struct spec s;
	va_list args;

	va_copy(args, ap);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(&s, fmt + 1, &args);
		if (!*fmt)
			break;
		put_spec(&o, &s, *fmt, &args);
	}
	va_end(args);
	if (size)
		buf[MIN(o.n, size - 1)] = '\0';
	return (int)o.n;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
