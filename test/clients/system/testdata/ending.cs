using System;
using System.Reflection;
using System.Runtime.InteropServices;

/// Runs a program, whose file is the argument, and ends the process with it. Mono suspends every thread before it ends by itself, and now
/// and then waits for one for ever (https://github.com/mono/mono/issues/17317): that says nothing about the program's calls.
static class Ending
{
    [DllImport("libc")]
    static extern void _exit(int code);

    static void Main(string[] args)
    {
        var code = 0;
        try
        {
            var main = Assembly.LoadFrom(args[0]).EntryPoint;
            main.Invoke(null, main.GetParameters().Length == 0 ? null : new object[] { new string[0] });
        }
        catch (TargetInvocationException e)
        {
            Console.Error.WriteLine(e.InnerException);
            code = 1;
        }
        Console.Out.Flush();
        Console.Error.Flush();
        _exit(code);
    }
}
